"""Discord: its own Markdown. No tables and no images; what Discord reads beyond CommonMark
(`||spoiler||`, `-# small`, `<@mention>`, `__underline__`) is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.filling import Filling
from sigil.channels.render.layout import CodeEdge, Layout, lay_out
from sigil.channels.render.lines import (
    BOLD,
    CODE,
    ITALIC,
    STRIKE,
    Edge,
    Line,
    Span,
    address_of,
    nest_spans,
)
from sigil.channels.render.parsing import read_lines
from sigil.channels.render.plain import write_plain
from sigil.channels.render.tables import spell_tables
from sigil.channels.render.whatsapp import break_fences

_SIGNS = {BOLD: "**", ITALIC: "*", STRIKE: "~~"}
_LAYOUT = Layout(bullet="- ")
_NOTHING = "\u200b"
_DEEPEST_HEADING = 3
_ADDRESS = re.compile(r"https?://[^\s<>]+")
_SIGN = re.compile(r"[\\*_~`|\[\]<]")
_LINE_START = re.compile(r"(?m)^([ \t]*)([#>+-]|\d+(?=[.)]\s))")


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text in Discord's Markdown."""

    def write(lines: Sequence[Line]) -> Rendered:
        return Rendered(_write(lines), plain=write_plain(lines))

    return Filling(spec, write).fill(spell_tables(read_lines(content)))


def _write(lines: Sequence[Line]) -> str:
    written: list[str] = []
    for part in lay_out(lines, _LAYOUT):
        if isinstance(part, str):
            written.append(part)
        elif isinstance(part, CodeEdge):
            written.append(f"```{part.language}\n" if part.opens else "\n```")
        elif isinstance(part, Line):
            written.append(break_fences(part.text) if part.kind == "code" else _write_spans(part))
    return "".join(written).strip("\n")


def _write_spans(line: Line) -> str:
    spans = line.spans
    heading = ""
    if line.kind == "heading":
        heading = "#" * line.level + " " if line.level <= _DEEPEST_HEADING else ""
        if not heading:
            spans = [Span(span.text, span.marks | {BOLD}) for span in spans]
    written, links = "", list[str]()
    parts = list(nest_spans([_simplify(span) for span in spans]))
    for index, part in enumerate(parts):
        if isinstance(part, Span):
            written += _write_span(part, in_link=bool(links))
        elif (address := address_of(part.mark)) is None:
            written += _SIGNS.get(part.mark, "")
        elif part.opens:
            label = _read_label(parts, index)
            links.append(label)
            written += "" if _is_bare(label, address) else "["
        else:
            label = links.pop()
            written += "" if label == address else _close_link(label, address)
    return heading + written


def _read_label(parts: Sequence[Span | Edge], start: int) -> str:
    """The text of the link that begins at `start`."""
    opening, label, at = parts[start], "", start + 1
    assert isinstance(opening, Edge)
    while isinstance(part := parts[at], Span) or part.mark != opening.mark:
        label += part.text if isinstance(part, Span) else ""
        at += 1
    return label


def _is_bare(label: str, address: str) -> bool:
    """Whether a link cannot have a text of its own: Discord shows none that looks like an address,
    and opens no mail."""
    return "://" in label or address.startswith("mailto:")


def _close_link(label: str, address: str) -> str:
    bare = address.removeprefix("mailto:")
    if _is_bare(label, address):
        return "" if label == bare else f" ({bare})"
    return "](" + address.replace("(", "%28").replace(")", "%29") + ")"


def _simplify(span: Span) -> Span:
    if CODE in span.marks and not span.text.strip():
        return Span(span.text)
    return span


def _write_span(span: Span, *, in_link: bool) -> str:
    if CODE in span.marks:
        text = span.text.replace("``", f"`{_NOTHING}`").replace("``", f"`{_NOTHING}`")
        return f"`` {text} ``" if "`" in text else f"`{text}`"
    written, at = "", 0
    for address in [] if in_link else _ADDRESS.finditer(span.text):
        written += _SIGN.sub(r"\\\g<0>", span.text[at : address.start()]) + address[0]
        at = address.end()
    written += _SIGN.sub(r"\\\g<0>", span.text[at:])
    return _LINE_START.sub(_escape_start, written)


def _escape_start(match: re.Match[str]) -> str:
    space, sign = match[1], match[2]
    return f"{space}{sign}\\" if sign.isdigit() else f"{space}\\{sign}"
