"""One message, fitted to what its channel can do: as chunks that the platform should take.

message ─▶ files that it does not take, and buttons, become words
        ─▶ rendered and cut ─▶ a chunk for each piece; what is there once goes with one of them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.channels.base import Chunk, Rendered
from sigil.channels.render import render

if TYPE_CHECKING:
    from sigil.channels.base import ChannelSpec, MediaRules
    from sigil.lanes.lane import Item
    from sigil.messages.exchange import Attachment, OutboundMessage


def make_chunks(
    item: Item, message: OutboundMessage, spec: ChannelSpec, replaces: str | None = None
) -> list[Chunk]:
    """The chunks of a message. Their ids derive from the item's, so that they are the same for
    every try. The first one takes the place of the platform's message `replaces`."""
    fitted = write_words(message, spec)
    pieces = render(fitted.content, spec)
    last = len(pieces) - 1
    return [
        Chunk(
            id=f"{item.id}.{index}",
            message=_take_part(fitted, piece, is_first=index == 0, is_last=index == last),
            index=index,
            final=index == last,
            turn_id=item.fields.get("turn"),
            rendered=piece,
            replaces=replaces if index == 0 else None,
        )
        for index, piece in enumerate(pieces)
    ]


def _take_part(
    message: OutboundMessage, piece: Rendered, *, is_first: bool, is_last: bool
) -> OutboundMessage:
    """What one chunk carries of a message. Files, buttons and details go out with the last words;
    what it refers to goes with the first ones."""
    if is_first and is_last:  # nearly always; a copy would be checked once more
        return message
    part = replace(message, content=piece.text, reply_to=message.reply_to if is_first else None)
    return part if is_last else replace(part, media=(), details=None, actions=())


def write_words(message: OutboundMessage, spec: ChannelSpec) -> OutboundMessage:
    """The message with a line for each file and each button that the platform has no form for."""
    lines: list[str] = []
    media, actions = message.media, message.actions
    if media:
        media = tuple(each for each in media if _takes(spec.media, each))
        lines += [_name_file(each) for each in message.media if each not in media]
    if actions and not (spec.buttons or spec.live):
        lines += [f"{each.label}: `{each.id}`" for each in actions]
        actions = ()
    if not lines:
        return message
    content = "\n\n".join(filter(None, (message.content, "\n".join(f"- {each}" for each in lines))))
    return replace(message, content=content, media=media, actions=actions)


def simplify(chunk: Chunk, steps: int) -> Chunk | None:
    """The chunk in a simpler form: after one step as plain text, which refers to nothing; after two
    with links for its files. None if it has no form that is simpler by so many steps."""
    if steps == 0:
        return chunk
    message, rendered = chunk.message, chunk.rendered
    plain = message.content if rendered is None else rendered.plain or rendered.text
    if steps == 1:
        part = replace(message, content=plain, reply_to=None)
        return replace(chunk, message=part, rendered=Rendered(plain, plain=plain))
    if steps > 2 or not message.media:
        return None
    text = "\n".join(filter(None, (plain, *map(_link_file, message.media))))
    part = replace(message, content=text, media=(), reply_to=None)
    return replace(chunk, message=part, rendered=Rendered(text, plain=text))


def _takes(rules: MediaRules, file: Attachment) -> bool:
    is_small = file.size is None or file.size <= rules.largest_out
    return is_small and file.kind in rules.outgoing


def _name_file(file: Attachment) -> str:
    """A line of CommonMark: a link to a file, or what it is if it has no address."""
    name = _escape(file.name)
    if file.url.startswith(("https://", "http://")):
        return f"[{name}](<{file.url.replace('<', '%3C').replace('>', '%3E')}>)"
    return f"({file.kind}: {name}{_describe_size(file.size)}; it cannot be sent here)"


def _link_file(file: Attachment) -> str:
    """The same as plain text."""
    is_link = file.url.startswith(("https://", "http://"))
    return f"{file.name}: {file.url}" if is_link else f"({file.kind}: {file.name})"


def _escape(name: str) -> str:
    return "".join(f"\\{char}" if char in _MARKS else char for char in name)


_MARKS: Sequence[str] = "\\`*_[]<>~|!#&"


def _describe_size(size: int | None) -> str:
    return "" if size is None else f", {max(1, round(size / 1000)):,} kB"
