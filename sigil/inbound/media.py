"""Keeps a file that came with a message, if it is small enough and of a kind that is taken.

    platform ── bytes ──▶ MediaKeeper ──▶ BlobStore       Attachment(url="blob:ID")
                             └─ MediaRefused ──▶ `make_refused`: the message goes on without
                                                 the file, and its answer says why

What a platform says of a file is the sender's word. Whether it is a picture or a PDF, its first
bytes say.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sigil.blobs.base import UNKNOWN_TYPE, BlobStore, clean_name, clean_type, refuse_size
from sigil.channels.base import MediaKind, MediaRules
from sigil.errors import MediaRefused
from sigil.messages.exchange import Attachment

MOST_SECONDS = 120.0
"""Within so many seconds a file must have come; its message waits for it."""

_HEAD = 1024
_WORDS = {"image": "pictures", "audio": "audio files", "video": "videos", "voice": "voice notes"}
# Types that are decided by the first bytes alone.
_SNIFFED = re.compile(r"image/|application/pdf\Z")
_MAGIC = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftyp(?:hei[cx]|hev[cx]|mif1|msf1)", re.DOTALL), "image/heic"),
    # Some programs write something before it, and readers bear that.
    (re.compile(rb".{0,1000}%PDF-", re.DOTALL), "application/pdf"),
)


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
        name = clean_name(name)
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
                found = _find_type(head, clean_type(mime_type))
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
        if len(head) >= _HEAD:
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


def _find_type(head: bytes, claimed: str) -> str:
    for pattern, found in _MAGIC:
        if pattern.match(head):
            return found
    return UNKNOWN_TYPE if _SNIFFED.match(claimed) else claimed
