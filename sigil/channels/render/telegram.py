"""Telegram: text and entities, which cannot fail to parse (Bot API, "MessageEntity").

Offsets and lengths are in UTF-16 code units. Entities lie within each other or apart; quotes are
not nested; code contains nothing and is in nothing but a quote; Telegram ignores those after the
hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.filling import Filling
from sigil.channels.render.layout import CodeEdge, Layout, QuoteEdge, lay_out
from sigil.channels.render.lines import (
    BOLD,
    CODE,
    ITALIC,
    STRIKE,
    Line,
    Span,
    address_of,
    nest_spans,
)
from sigil.channels.render.parsing import read_lines
from sigil.channels.render.plain import write_plain
from sigil.channels.render.tables import spell_tables
from sigil.channels.render.units import measure

MOST_ENTITIES = 100
_TYPES = {BOLD: "bold", ITALIC: "italic", STRIKE: "strikethrough", CODE: "code"}
_LAYOUT = Layout(shows_quotes=True)


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text with entities, as JSON objects, in the extra `entities`."""

    def load(message: Rendered) -> float:
        # A text that has more styles than words is not worth a flood of messages.
        is_short = measure(message.text, "utf16") * 8 < spec.text_limit
        return 0.0 if is_short else len(message.extras.get("entities", ())) / MOST_ENTITIES

    messages = Filling(spec, _write, load).fill(spell_tables(read_lines(content)))
    return [_drop_surplus(message) for message in messages]


@dataclass(slots=True)
class _Text:
    parts: list[str] = field(default_factory=list)
    size: int = 0
    entities: list[dict[str, Any]] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.size += measure(text, "utf16")

    def open(self, kind: str, **more: str) -> dict[str, Any]:
        entity = {"type": kind, "offset": self.size, "length": 0, **more}
        self.entities.append(entity)
        return entity

    def close(self, entity: dict[str, Any]) -> None:
        entity["length"] = self.size - entity["offset"]


def _write(lines: Sequence[Line]) -> Rendered:
    text = _Text()
    blocks: list[dict[str, Any]] = []
    for part in lay_out(lines, _LAYOUT):
        match part:
            case str():
                text.add(part)
            case Line():
                _add_spans(text, part)
            case CodeEdge(opens=True, language=language):
                blocks.append(text.open("pre", **({"language": language} if language else {})))
            case QuoteEdge(opens=True):
                blocks.append(text.open("blockquote"))
            case _:
                text.close(blocks.pop())
    whole = "".join(text.parts)
    # Telegram cuts empty lines off both ends, and the entities with them.
    start = len(whole) - len(whole.lstrip("\n"))
    kept = whole.strip("\n").rstrip()
    entities = _trim(text.entities, start, measure(kept, "utf16"))
    return Rendered(kept, {"entities": entities} if entities else {}, write_plain(lines))


def _add_spans(text: _Text, line: Line) -> None:
    if line.kind == "code":
        text.add(line.text)
        return
    extra = frozenset({BOLD}) if line.kind == "heading" else frozenset()
    open_entities: dict[int, dict[str, Any]] = {}
    for part in nest_spans([Span(span.text, _allow(span.marks | extra)) for span in line.spans]):
        if isinstance(part, Span):
            text.add(part.text)
        elif not part.opens:
            text.close(open_entities.pop(part.pair))
        elif address := address_of(part.mark):
            open_entities[part.pair] = text.open("text_link", url=address)
        else:
            open_entities[part.pair] = text.open(_TYPES[part.mark])


def _allow(marks: frozenset[str]) -> frozenset[str]:
    """The marks that may stand together. A link is worth more than the look of code."""
    links = frozenset(mark for mark in marks if address_of(mark) is not None)
    if CODE not in marks:
        return marks
    return links or frozenset({CODE})


def _trim(entities: list[dict[str, Any]], start: int, size: int) -> list[dict[str, Any]]:
    trimmed = []
    for entity in entities:
        begin = max(entity["offset"] - start, 0)
        end = min(entity["offset"] + entity["length"] - start, size)
        if end > begin:
            trimmed.append({**entity, "offset": begin, "length": end - begin})
    return trimmed


def _drop_surplus(message: Rendered) -> Rendered:
    entities = message.extras.get("entities", [])
    if len(entities) <= MOST_ENTITIES:
        return message
    return Rendered(message.text, {"entities": entities[:MOST_ENTITIES]}, message.plain)
