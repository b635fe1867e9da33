"""Matrix: a plain body, and `formatted_body` in the tags that clients show (specification,
"m.room.message").

An event has at most 65,536 bytes. An edit carries both bodies twice, and encryption makes it half
as large again, so both together stay well below a third of that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.filling import Filling
from sigil.channels.render.html import write_html
from sigil.channels.render.lines import Line
from sigil.channels.render.parsing import read_lines
from sigil.channels.render.plain import write_plain
from sigil.channels.render.tables import spell_tables

MOST_BYTES = 21_000


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text as plain text, with HTML in the extra `formatted_body`."""
    return Filling(spec, _write, _load).fill(read_lines(content))


def _write(lines: Sequence[Line]) -> Rendered:
    text = write_plain(spell_tables(lines))
    return Rendered(text, {"formatted_body": write_html(lines)}, text)


def _load(message: Rendered) -> float:
    bodies = [message.text, message.extras["formatted_body"]]
    return len(json.dumps(bodies, ensure_ascii=False).encode()) / MOST_BYTES
