"""Plain text: what is left is what somebody would type. Addresses stand behind their links."""

from __future__ import annotations

from collections.abc import Sequence

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.filling import Filling
from sigil.channels.render.layout import CodeEdge, Layout, QuoteEdge, lay_out
from sigil.channels.render.lines import Line, Span
from sigil.channels.render.parsing import read_lines
from sigil.channels.render.tables import spell_tables
from sigil.channels.render.units import measure

_LAYOUT = Layout(indents_code=True)


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text as plain text."""

    def write(lines: Sequence[Line]) -> Rendered:
        text = write_plain(lines)
        return Rendered(text, plain=text)

    return Filling(spec, write).fill(spell_tables(read_lines(content)))


def write_plain(lines: Sequence[Line]) -> str:
    """Lines without rows as plain text."""
    written: list[str] = []
    for part in lay_out(lines, _LAYOUT):
        if isinstance(part, str):
            written.append(part)
        elif isinstance(part, Line):
            written.append("".join([span.text for span in spell_links(part.spans)]))
        else:
            assert isinstance(part, CodeEdge | QuoteEdge)  # there are none in this layout
    return "".join(written).strip("\n")


def spell_links(spans: Sequence[Span]) -> list[Span]:
    """The spans, with the address of each link behind it."""
    spelt: list[Span] = []
    shown = ""
    for index, span in enumerate(spans):
        spelt.append(span)
        address = span.link
        if address is None:
            continue
        shown += span.text
        following = spans[index + 1].link if index + 1 < len(spans) else None
        if following != address:
            bare = address.removeprefix("mailto:")
            if shown not in (address, bare):
                spelt.append(Span(f" ({bare})"))
            shown = ""
    return spelt


def spell(content: str, spec: ChannelSpec) -> str:
    """The whole text as plain text; as it is if that is too long."""
    text = write_plain(spell_tables(read_lines(content)))
    return text if measure(text, spec.text_unit) <= spec.text_limit else content
