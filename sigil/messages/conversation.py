"""What a model is told and what it answers, in a form that belongs to no vendor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any, Literal

from sigil.errors import MessageInvalid
from sigil.records import keep_known, read_record


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model may call; `parameters` is a JSON Schema object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; `arguments` are parsed JSON."""

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for the model: an `https:` address that the vendor fetches, or a `data:` URL."""

    url: str
    mime_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF for the model, as a `data:` URL."""

    url: str
    name: str
    mime_type: str = "application/pdf"


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file that came with a user's message, as the history keeps it: by its address alone. Its
    bytes are put in its place for each call (`sigil.agent.attachments`). `owner` may read it (see
    `sigil.blobs.base`); the rest is as in `Attachment`."""

    url: str
    owner: str = ""
    name: str = "file"
    mime_type: str = ""
    kind: str = "file"


@dataclass(frozen=True, slots=True)
class Native:
    """An answer with tool calls in its vendor's own form, as JSON.

    It holds what the neutral form cannot, such as signed thoughts. Only the same API and the
    same model are given it back; for all others the neutral form stands.
    """

    api: str
    model: str
    content: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation as the model sees it.

    A user's message may carry `files`; what is called has `images` and `documents` in their place,
    which are never kept. An assistant message may carry `tool_calls`, and
    `native`, which says the same as the rest of it; a `tool` message answers the call named by
    `tool_call_id`.
    """

    role: Literal["user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[Image, ...] = ()
    native: Native | None = None
    documents: tuple[Document, ...] = ()
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor counted them. `cached_tokens` (read from the vendor's prompt cache)
    and `cache_write_tokens` (written to it) are parts of `input_tokens`, `thinking_tokens` is a
    part of `output_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """What counts against a token budget."""
        return self.input_tokens + self.output_tokens


MOST_TOKENS = 100_000_000
"""More tokens than any call or any model's context can have. A larger count is a mistake."""


def bound_tokens(tokens: int, most: int = MOST_TOKENS) -> int:
    """Cuts a count that comes from outside to the range from 0 to `most`."""
    return max(0, min(tokens, most))


_ROLES = ("user", "assistant", "tool")
_ENCODER = json.JSONEncoder(separators=(",", ":"))


MARK = "| "
"""What stands before each line that is data: words of others, quotes, files."""


def mark_lines(text: str) -> list[str]:
    """Each line of a text, however it is broken, behind the mark."""
    return [f"{MARK}{line}" for line in text.splitlines()] or [MARK.rstrip()]


Size = Callable[[Sequence[Message]], int]


def window(messages: Sequence[Message], limit: int, size: Size = len) -> list[Message]:
    """The newest messages, at most `limit` of them (or of what `size` measures), that a model
    can be given.

    A tool call and its results stay together or are left out together. The window starts
    at a user's message if there is any in `messages`: the older answers before it are left
    out; if a long run of tools has filled the window, the newest user's message is put in
    front of what fits.
    """
    if limit <= 0:
        return []
    units = list(_units(messages))
    kept = _newest(units, limit, size)
    start = next((i for i, unit in enumerate(kept) if unit[0].role == "user"), None)
    if start is None:
        question = next((unit for unit in reversed(units) if unit[0].role == "user"), None)
        if question is not None:
            kept = [question, *_newest(units, limit - size(question), size)]
    return [message for unit in kept[start or 0 :] for message in unit]


def _newest(units: Sequence[list[Message]], limit: int, size: Size) -> list[list[Message]]:
    first, total = len(units), 0
    while first and total + size(units[first - 1]) <= limit:
        first -= 1
        total += size(units[first])
    return list(units[first:])


def _units(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """What must not be cut apart. Calls without all of their results, and results without
    their call (the history was trimmed there), are dropped: vendors refuse them."""
    for position, message in enumerate(messages):
        if message.role == "tool":
            continue
        if not message.tool_calls:
            yield [message]
            continue
        results = list(takewhile(lambda each: each.role == "tool", messages[position + 1 :]))
        asked = sorted(call.id for call in message.tool_calls)
        if asked == sorted(result.tool_call_id or "" for result in results):
            yield [message, *results]


def encode_message(message: Message) -> str:
    """One line of JSON for the history; what is empty is left out."""
    fields = {
        "role": message.role,
        "content": message.content,
        "tool_calls": [asdict(call) for call in message.tool_calls],
        "tool_call_id": message.tool_call_id,
        "images": [asdict(image) for image in message.images],
        "native": message.native and asdict(message.native),
        # Version 1 refuses this name, and so leaves out the one message that has it.
        "files": [asdict(file) for file in message.files],
    }
    # ASCII, because a model may write half of a surrogate pair, which UTF-8 cannot hold.
    return _ENCODER.encode({name: value for name, value in fields.items() if value})


def decode_message(text: str) -> Message:
    """The inverse of `encode_message`. Unknown fields are ignored. Raises `MessageInvalid`, and
    `RecordTooNew`."""
    try:
        fields = read_record(text)
        if "tool_calls" in fields:
            calls = fields["tool_calls"]
            fields["tool_calls"] = tuple(ToolCall(**keep_known(ToolCall, call)) for call in calls)
        if "images" in fields:
            images = fields["images"]
            fields["images"] = tuple(Image(**keep_known(Image, image)) for image in images)
        if "files" in fields:
            files = fields["files"]
            fields["files"] = tuple(AttachedFile(**keep_known(AttachedFile, f)) for f in files)
        if "native" in fields:
            fields["native"] = Native(**keep_known(Native, fields["native"]))
        message = Message(**keep_known(Message, fields))
    except (ValueError, TypeError, AttributeError) as error:
        raise MessageInvalid("a message of the history cannot be read.") from error
    if message.role not in _ROLES or not isinstance(message.content, str):
        raise MessageInvalid("a message of the history has no role or text.")
    return message
