"""Keeps a file that came with a message, if it is small enough and of a kind that is taken.

platform ── bytes ──▶ MediaKeeper ──▶ BlobStore       Attachment(url="blob:ID")
                         └─ MediaRefused ──▶ `make_refused`: the message goes on without
                                             the file, and its answer says why
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from sigil.blobs.base import BlobStore, clean_name, refuse_size
from sigil.blobs.types import HEAD, find_type
from sigil.channels.base import MediaKind, MediaRules
from sigil.errors import MediaRefused
from sigil.messages.exchange import Attachment

MOST_SECONDS = 120.0
"""Within so many seconds a file must have come; its message waits for it."""

_WORDS = {"image": "pictures", "audio": "audio files", "video": "videos", "voice": "voice notes"}


@dataclass(frozen=True, slots=True)
class MediaKeeper:
    """Keeps the files of one account, of the kinds and sizes that its channel takes."""

    blobs: BlobStore
    rules: MediaRules
    owner: str  # see `sigil.blobs.base.name_owner`

    async def keep_file(
        self,
        data: AsyncIterator[bytes],
        *,
        kind: MediaKind,
        name: str,
        mime_type: str,
        size: int | None = None,
    ) -> Attachment:
        """See `sigil.channels.base.Inbox`. `size` is what the platform says; nothing is read if
        that is too much already. Raises `MediaRefused`, and then nothing is kept; `StoreError`;
        and what `data` raises."""
        try:
            return await self._keep(data, kind, clean_name(name), mime_type, size)
        finally:
            # A stream that was not read to its end holds a connection.
            if isinstance(data, AsyncGenerator):
                await data.aclose()

    async def _keep(
        self,
        data: AsyncIterator[bytes],
        kind: MediaKind,
        name: str,
        mime_type: str,
        size: int | None,
    ) -> Attachment:
        if kind not in self.rules.incoming:
            raise MediaRefused(f"I cannot take {_WORDS.get(kind, 'files')} here. Please write.")
        most = min(self.rules.largest_in, self.blobs.largest)
        if size is not None and size > most:
            raise refuse_size(name, size, most)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                head = await _read_head(data)
                if not head:
                    raise MediaRefused(f"The file {name} is empty.")
                found = find_type(head, mime_type)
                bounded = _bound(head, data, name, most)
                blob = await self.blobs.put(bounded, name=name, mime_type=found, owner=self.owner)
        except TimeoutError:
            raise MediaRefused(
                f"The file {name} took too long to load. Please try again."
            ) from None
        is_of_kind = kind != "image" or found.startswith("image/")
        return Attachment(blob.url, name, found, blob.size, kind if is_of_kind else "file")


async def _read_head(data: AsyncIterator[bytes]) -> bytes:
    """The first pieces: enough to know the type by."""
    head = bytearray()
    async for piece in data:
        head += piece
        if len(head) >= HEAD:
            break
    return bytes(head)


async def _bound(
    head: bytes, data: AsyncIterator[bytes], name: str, most: int
) -> AsyncIterator[bytes]:
    size = len(head)
    if size > most:
        raise refuse_size(name, None, most)
    yield head
    async for piece in data:
        size += len(piece)
        if size > most:
            raise refuse_size(name, None, most)
        yield piece
