"""Fetches the files that came with messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import structlog

from sigil.blobs.base import clean_name, clean_type, make_refused
from sigil.errors import ChannelError, MediaRefused, SendFailed

if TYPE_CHECKING:
    from sigil.channels.base import Inbox, MediaKind
    from sigil.channels.matrix.client import MatrixClient
    from sigil.channels.matrix.payloads import Content
    from sigil.messages.exchange import Attachment

log = structlog.get_logger(__name__)

LONGEST_FETCH_S = 120.0
TRIES = 2


def name_file(content: Content) -> str:
    """The file's name, as its sender gave it."""
    return clean_name(content.filename or content.body or "")


async def fetch_file(
    client: MatrixClient, inbox: Inbox, content: Content, kind: MediaKind
) -> Attachment:
    """Keeps the file, and returns what goes into the message: a file that cannot be had holds up
    nothing, and the message says why it is not there."""
    info, name = content.info, name_file(content)
    size = None if info is None else info.size
    mime_type = clean_type((info and info.mimetype) or "")
    refused = MediaRefused(f"The file {name} could not be fetched. Please send it again.")
    for _ in range(TRIES):
        try:
            async with (
                asyncio.timeout(LONGEST_FETCH_S),
                aclosing(_read(client, content.url or "", inbox)) as data,
            ):
                return await inbox.keep_file(
                    data, kind=kind, name=name, mime_type=mime_type, size=size
                )
        except MediaRefused as error:
            refused = error
            break
        except (ChannelError, TimeoutError) as error:
            log.warning("a file could not be fetched", error=str(error) or "too slow")
            if not isinstance(error, SendFailed):
                break
    return make_refused(refused, kind=kind, name=name, mime_type=mime_type, size=size)


async def _read(client: MatrixClient, address: str, inbox: Inbox) -> AsyncGenerator[bytes]:
    """Opens the file at the first piece: one whose size is refused is not asked for."""
    async with client.open_file(address) as data:
        async for piece in data:
            inbox.note_activity()
            yield piece
