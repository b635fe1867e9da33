"""An answer that is kinder as a file: its beginning as words, all of it as Markdown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from sigil.blobs.base import name_owner
from sigil.channels.render import needs_file
from sigil.errors import MediaRefused
from sigil.messages.exchange import MAX_ATTACHMENTS, Attachment

if TYPE_CHECKING:
    from sigil.blobs.base import BlobStore
    from sigil.channels.base import ChannelSpec
    from sigil.messages.exchange import OutboundMessage

log = structlog.get_logger(__name__)

FILE_NAME, MIME_TYPE = "answer.md", "text/markdown"
MOST_WORDS = 500  # characters of the beginning
BELOW = "_The whole answer is in the file._"


async def shorten(
    message: OutboundMessage, spec: ChannelSpec, longest: int | None, blobs: BlobStore
) -> OutboundMessage:
    """The message with its text as a file, if it has more than `longest` characters and the channel
    takes files. A file that cannot be kept leaves it as it is. Raises `StoreError`."""
    if not needs_file(message.content, spec, longest) or len(message.media) >= MAX_ATTACHMENTS:
        return message
    data = message.content.encode()
    if len(data) > min(spec.media.largest_out, blobs.largest):
        return message
    owner = name_owner(message.channel_type, message.account)
    try:
        blob = await blobs.put(_give(data), name=FILE_NAME, mime_type=MIME_TYPE, owner=owner)
    except MediaRefused as error:
        log.info("a long answer is sent as words", reason=str(error))
        return message
    file = Attachment(blob.url, FILE_NAME, MIME_TYPE, blob.size)
    content = f"{find_beginning(message.content)}\n\n{BELOW}"
    return replace(message, content=content, media=(*message.media, file))


async def _give(data: bytes) -> AsyncIterator[bytes]:
    yield data


def find_beginning(text: str) -> str:
    """The first paragraph, or as many of its words as are short enough to be read at a glance."""
    first = text.strip().split("\n\n", 1)[0]
    if "```" in first or "~~~" in first:  # half a block of code is none
        return "…"
    if len(first) <= MOST_WORDS:
        return first
    return f"{first[:MOST_WORDS].rsplit(' ', 1)[0]} …"
