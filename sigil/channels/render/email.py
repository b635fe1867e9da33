"""E-mail: HTML, and the same as plain text for readers that want no HTML. It is never split."""

from __future__ import annotations

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.html import write_html
from sigil.channels.render.parsing import read_lines
from sigil.channels.render.plain import write_plain
from sigil.channels.render.tables import spell_tables

# Mail readers take styles from nowhere else.
_STYLES = {
    "table": "border-collapse:collapse",
    "th": "border:1px solid #ccc;padding:4px 8px;text-align:left",
    "td": "border:1px solid #ccc;padding:4px 8px",
    "blockquote": "margin:0 0 0 8px;padding-left:8px;border-left:3px solid #ccc",
    "pre": "background:#f5f5f5;padding:8px;white-space:pre-wrap",
}


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text as plain text, with HTML in the extra `html`."""
    lines = read_lines(content)
    text = write_plain(spell_tables(lines))
    return [Rendered(text, {"html": write_html(lines, _STYLES)}, text)]
