"""What a store of files promises. A message carries a file's name in the store, `blob:ID`."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import ceil
from pathlib import PurePosixPath
from typing import Protocol

from sigil.errors import BlobGone, MediaRefused
from sigil.messages.exchange import MAX_NAME_BYTES, MAX_URL_BYTES, Attachment

SCHEME = "blob:"
REFUSED = "refused:"
"""A file that was not taken; the rest of its address says why, in a sentence for people."""
KEPT_S = 24 * 3600.0
"""How long a file is kept, in seconds."""
SPARED_S = 600.0
"""The oldest files make room for new ones. Younger ones than this never do: a turn that waits may
not have read them yet."""

UNKNOWN_TYPE = "application/octet-stream"
MB = 1024 * 1024
_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
_PLAIN = str.maketrans("[]<>`", "()()'")
_ID = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that is kept. `size` is in bytes; `name` and `mime_type` are what was given."""

    id: str
    name: str
    mime_type: str
    size: int

    @property
    def url(self) -> str:
        """For `Attachment.url`."""
        return SCHEME + self.id


class BlobStore(Protocol):
    """Keeps files for a day, each for one owner (see `name_owner`). Every method may raise
    `StoreError`."""

    largest: int
    """The most bytes that one file may have."""

    async def put(
        self, data: AsyncIterator[bytes], *, name: str, mime_type: str, owner: str
    ) -> Blob:
        """Reads the stream to its end and keeps it. Whatever ends it before that, nothing is kept.
        Raises `MediaRefused` if it is too large, or if there is no room; and what `data` raises."""
        ...

    async def get(self, id: str, *, owner: str) -> Blob:
        """Raises `BlobGone` if there is no such file, or if it is another owner's."""
        ...

    def read(self, blob: Blob) -> AsyncIterator[bytes]:
        """The file, piece by piece. Raises `BlobGone`, also between two pieces."""
        ...

    async def expire(self) -> None:
        """Removes the files whose time is over. None of them can be read before that either."""
        ...


def name_owner(channel_type: str, account: str) -> str:
    """The owner of the files of an account. An id that leaks is of no use to others."""
    return f"{channel_type}/{account}"


def make_id() -> str:
    """A name that nobody can guess: 192 random bits."""
    return secrets.token_urlsafe(24)


def is_id(text: str) -> bool:
    """Whether this can be the id of a file. Only then may it be a part of a path or a key."""
    return _ID.fullmatch(text) is not None


def find_id(url: str) -> str | None:
    """The id in `blob:ID`; None for any other address."""
    id = url.removeprefix(SCHEME)
    return id if url.startswith(SCHEME) and is_id(id) else None


async def read_file(
    blobs: BlobStore, attachment: Attachment, owner: str, most: int | None = None
) -> bytes:
    """All of an attached file that is kept. Raises `BlobGone`, and `MediaRefused` if it has more
    than `most` bytes."""
    id = find_id(attachment.url)
    if id is None:
        raise BlobGone(f"{attachment.name} is not a file that is kept.")
    blob = await blobs.get(id, owner=owner)
    if most is not None and blob.size > most:
        raise refuse_size(attachment.name, blob.size, most)
    return b"".join([piece async for piece in blobs.read(blob)])


def refuse_size(name: str, size: int | None, most: int) -> MediaRefused:
    """For people. `size` is None if nobody knows how large the file is, except that it is larger
    than `most`."""
    if size is None:
        return MediaRefused(f"The file {name} is larger than {format_size(most)}, the most I take.")
    return MediaRefused(
        f"The file {name} has {format_size(size)}; I take up to {format_size(most)}."
    )


def refuse_for_room(name: str) -> MediaRefused:
    """Likewise."""
    return MediaRefused(f"I have no room for the file {name} just now. Please try again later.")


def format_size(size: int) -> str:
    """Bytes for people, rounded up: `812 bytes`, `31 kB`, `20 MB`, `20.1 MB`."""
    if size < 1024:
        return f"{size} bytes"
    if size < MB:
        return f"{ceil(size / 1024)} kB"
    return f"{ceil(10 * size / MB) / 10:g} MB"


def make_refused(
    error: MediaRefused, *, kind: str, name: str, mime_type: str, size: int | None = None
) -> Attachment:
    """What a message carries in the place of a file that was refused. So the message goes on, and
    its answer tells the person why."""
    return Attachment(
        REFUSED + _shorten(error.message, MAX_URL_BYTES - len(REFUSED)),
        clean_name(name),
        clean_type(mime_type),
        size,
        kind,
    )


def clean_name(name: str) -> str:
    """A file's name as it may be shown: without folders, without what cannot be seen, and without
    what would make a link in CommonMark."""
    last = PurePosixPath(name.replace("\\", "/")).name.translate(_PLAIN)
    return _shorten(last, MAX_NAME_BYTES).strip(" .") or "file"


def clean_type(mime_type: str) -> str:
    """A media type without its parameters; that of unknown bytes if it is none."""
    plain = mime_type.partition(";")[0].strip().lower()
    return plain if _TYPE.fullmatch(plain) else UNKNOWN_TYPE


def _shorten(text: str, most: int) -> str:
    """Without control characters, surrogates and the like, and at most so many bytes long."""
    seen = "".join(c for c in text if c == " " or unicodedata.category(c)[0] not in "CZ")
    return seen.encode()[:most].decode(errors="ignore")


async def cut_pieces(data: AsyncIterator[bytes], length: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of this length; the last one is shorter, and may be empty."""
    buffer = bytearray()
    async for piece in data:
        buffer += piece
        while len(buffer) >= length:
            yield bytes(buffer[:length])
            del buffer[:length]
    yield bytes(buffer)
