"""WhatsApp: `*bold*`, `_italic_`, `~struck~`, `` `code` `` and fences; addresses stand bare.

WhatsApp knows no escapes. A sign counts only where a word begins or ends, so a style within a word
is left out, and a sign that is not meant as one is parted from its word by a hair's breadth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.filling import Filling
from sigil.channels.render.layout import CodeEdge, Layout, lay_out
from sigil.channels.render.lines import BOLD, CODE, ITALIC, STRIKE, Edge, Line, Span, nest_spans
from sigil.channels.render.parsing import read_lines
from sigil.channels.render.plain import spell_links, write_plain
from sigil.channels.render.tables import spell_tables

_SIGNS = {BOLD: "*", ITALIC: "_", STRIKE: "~", CODE: "`"}
_LAYOUT = Layout()
_HAIR, _NOTHING = "\u200a", "\u200b"
_ADDRESS = re.compile(r"https?://\S+")
_SIGN = re.compile(r"(?P<before>[^\W_]?)(?P<sign>[*_~`])(?=(?P<after>[^\W_]?))")
_LINE_START = re.compile(r"[*-]\s|>")


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text in WhatsApp's own marks."""

    def write(lines: Sequence[Line]) -> Rendered:
        return Rendered(_write(lines), plain=write_plain(lines))

    return Filling(spec, write).fill(spell_tables(read_lines(content)))


def _write(lines: Sequence[Line]) -> str:
    written: list[str] = []
    for part in lay_out(lines, _LAYOUT):
        if isinstance(part, str):
            written.append(part)
        elif isinstance(part, CodeEdge):
            written.append("```\n" if part.opens else "\n```")
        elif isinstance(part, Line):
            written.append(break_fences(part.text) if part.kind == "code" else _write_spans(part))
    return "".join(written).strip("\n")


def break_fences(code: str) -> str:
    """Code that cannot end the fence it is in."""
    return code.replace("``", f"`{_NOTHING}`").replace("``", f"`{_NOTHING}`")


def _write_spans(line: Line) -> str:
    spans = spell_links(line.spans)
    if line.kind == "heading":
        spans = [Span(span.text, span.marks | {BOLD}) for span in spans]
    spans = [_simplify(span) for span in spans]
    parts = list(nest_spans(spans))
    useless = _find_useless(parts)
    written = ""
    for part in parts:
        if isinstance(part, Edge):
            written += "" if part.pair in useless else _SIGNS[part.mark]
        else:
            written += part.text if CODE in part.marks else _escape(part.text)
    is_plain = bool(spans) and not spans[0].marks
    return _NOTHING + written if is_plain and _LINE_START.match(written) else written


def _simplify(span: Span) -> Span:
    """Code shows no other style, and cannot hold its own sign."""
    marks = frozenset(mark for mark in span.marks if mark in _SIGNS)
    if CODE in marks:
        marks = marks - {CODE} if "`" in span.text or not span.text.strip() else frozenset({CODE})
    return Span(span.text, marks)


def _find_useless(parts: Sequence[Span | Edge]) -> set[int]:
    """The pairs of signs that stand within words, where WhatsApp would show them."""
    useless: set[int] = set()
    texts = [part.text if isinstance(part, Span) else "" for part in parts]
    before = ""
    for text, part in zip(texts, parts, strict=True):
        if isinstance(part, Edge) and part.opens and before.isalnum():
            useless.add(part.pair)
        before = text[-1:] or before
    after = ""
    for text, part in zip(reversed(texts), reversed(parts), strict=True):
        if isinstance(part, Edge) and not part.opens and after.isalnum():
            useless.add(part.pair)
        after = text[:1] or after
    return useless


def _escape(text: str) -> str:
    """The text with hair spaces between words and the signs at their edges."""
    written, at = "", 0
    for address in _ADDRESS.finditer(text):
        written += _part_signs(text[at : address.start()]) + address[0]
        at = address.end()
    return written + _part_signs(text[at:])


def _part_signs(text: str) -> str:
    def part(match: re.Match[str]) -> str:
        before, sign, after = match["before"], match["sign"], match["after"]
        if before and after:  # within a word
            return match[0]
        following = text[match.end() : match.end() + 1]
        preceding = before or text[match.start() - 1 : match.start()]
        opens = not before and not following.isspace()
        closes = not after and bool(preceding) and not preceding.isspace()
        return f"{before}{_HAIR if closes else ''}{sign}{_HAIR if opens else ''}"

    return _SIGN.sub(part, text)
