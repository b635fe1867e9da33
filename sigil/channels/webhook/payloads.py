"""The two bodies of a generic webhook: what a program sends, and what it is sent."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sigil.channels.base import Chunk
from sigil.messages.exchange import MAX_ATTACHMENTS, MAX_URL_BYTES

_Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=MAX_URL_BYTES)]


class _Lenient(BaseModel):
    """Fields that are not known are ignored. Ids are often numbers, so a number becomes text."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class LinkedFile(_Lenient):
    """A file that belongs to the message, fetched from `url`."""

    url: _Url
    name: str = "file"
    mime_type: str = "application/octet-stream"


class PostedMessage(_Lenient):
    """A message that a program hands in. `id` is the program's own; a repeat is a duplicate."""

    id: str
    chat: str
    sender: str
    text: str = ""
    sender_name: str | None = None
    thread: str | None = None
    direct: bool = True
    addressed: bool = True
    attachments: list[LinkedFile] = Field(default_factory=list, max_length=MAX_ATTACHMENTS)


def make_callback(chunk: Chunk) -> dict[str, Any]:
    """The body that brings a chunk of a reply. `in_reply_to` is the `id` of the newest message
    that it answers, or null."""
    message = chunk.message
    return {
        "id": chunk.id,
        "chat": message.channel_id,
        "thread": message.thread_id,
        "text": chunk.text,
        "final": chunk.final,
        "in_reply_to": message.reply_to or (message.answers[-1] if message.answers else None),
    }
