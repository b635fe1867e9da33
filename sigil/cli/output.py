"""How commands speak: tables on a terminal, tab-separated lines in a pipe, JSON on request."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sigil.errors import SigilError, StoreError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# On a terminal, by the word in a cell.
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def line(text: str) -> None:
    """One line on stdout, as it is."""
    sys.stdout.write(f"{text}\n")


def as_json(data: Any) -> None:
    """The data as JSON: indented for people, on one line for programs."""
    indent = 2 if sys.stdout.isatty() else None
    line(json.dumps(data, indent=indent, ensure_ascii=False, default=str))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their columns' names. Control characters are shown, not obeyed."""
    cells = [[_plain(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *cells]:
            line("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, sample in zip(columns, cells[0] if cells else columns, strict=True):
        numeric = sample.isdecimal()
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        # Text, so that brackets in a cell are no markup.
        shown.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(shown)


def pairs(data: Mapping[str, object]) -> None:
    """Names and values, one to a line."""
    width = max(map(len, data), default=0)
    for name, value in data.items():
        line(f"{name:<{width}}  {_plain(str(value))}")


def explain(error: SigilError) -> None:
    """The error on stderr, with what to do next where somebody knows."""
    text = str(error)
    if isinstance(error, StoreError) and error.hint is None:
        text += " `sigil doctor` looks into it."
    sys.stderr.write(f"error: {text}\n")


def _plain(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
