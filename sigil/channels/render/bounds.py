"""What keeps hostile CommonMark from costing much time or memory.

Two things can make what is rendered thousands of times longer than its text. A row of a table gets
as many cells as its head, although it may be one character long. And each `[a]` that refers to
`[a]: https://…` repeats that address. So cells are counted before anything is rendered, and what
references repeat is counted while they are looked up.
"""

from __future__ import annotations

import re
from typing import Any

MOST_CELLS = 8_000
MOST_REFERENCE_CHARS = 100_000
_TABLE_RULER = re.compile(r"[\s>]*[|:-][\s|:-]*")
_LINE_END = re.compile(r"\r\n?|\n")


def count_cells(text: str) -> int:
    """At least as many cells as the tables of the text can have. A table begins at the line above
    its ruler (`|---|---|`) and ends at an empty line at the latest."""
    cells, columns = 0, 0
    for line in _LINE_END.split(text):
        if not line.strip(" >"):
            columns = 0
        elif "-" in line and _TABLE_RULER.fullmatch(line):
            columns = max(columns, line.count("|") + 1)
            cells += columns  # of the head
        cells += columns
    return cells


class References(dict[str, dict[str, Any]]):
    """The definitions of a text. markdown-it fills them in and looks them up; what it finds has at
    most `MOST_REFERENCE_CHARS` characters together."""

    _chars = 0

    def get(self, label: str, default: Any = None) -> Any:
        """The definition, or `default` if there is none or it is too long now."""
        found = super().get(label)
        if found is None:
            return default
        size = len(found["href"]) + len(found["title"])
        if self._chars + size > MOST_REFERENCE_CHARS:
            return default
        self._chars += size
        return found
