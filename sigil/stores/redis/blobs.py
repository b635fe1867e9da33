"""Files that came in, in Redis: one hash for each file, with its pieces and what it is about.

    blob:ID   0, 1, 2 …  its pieces        about  JSON: name, mime_type, owner, size, pieces
    blobs     ID         when its last piece came, and its bytes

Files are cut into pieces, so that no command holds up the others for long. A file without `about`
is not complete, and so it is not there.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from sigil.blobs.base import (
    KEPT_S,
    MB,
    SPARED_S,
    Blob,
    cut_pieces,
    is_id,
    make_id,
    refuse_for_room,
    refuse_size,
)
from sigil.errors import BlobGone, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sigil.stores.redis.client import Client

LARGEST = 8 * MB
MOST = 512 * MB
MOST_FILES = 2_000

_PIECE = 256 * 1024


class RedisBlobs:
    """A `BlobStore`. The bytes of all files are bounded by `most`, and by a quarter of the server's
    memory; from three quarters of that on it takes no files, since messages need the rest."""

    def __init__(self, client: Client, *, largest: int = LARGEST, most: int = MOST) -> None:
        self.largest = largest
        self._client = client
        self._most = most

    async def put(
        self, data: AsyncIterator[bytes], *, name: str, mime_type: str, owner: str
    ) -> Blob:
        """See `BlobStore`."""
        id, size, number, is_whole = make_id(), 0, 0, False
        try:
            async for piece in cut_pieces(data, _PIECE):
                size += len(piece)
                if size > self.largest:
                    raise refuse_size(name, None, self.largest)
                is_last = len(piece) < _PIECE
                about: dict[str, Any] = {"name": name, "mime_type": mime_type, "owner": owner}
                about |= {"size": size, "pieces": number + 1}
                if not await self._keep(id, number, piece, size, about if is_last else None):
                    raise refuse_for_room(name)
                number += 1
            is_whole = True
        finally:
            if not is_whole:
                with contextlib.suppress(StoreError):
                    await self._drop(id)
        return Blob(id, name, mime_type, size)

    async def get(self, id: str, *, owner: str) -> Blob:
        """See `BlobStore`."""
        about = await self._read_about(id)
        if about.get("owner") != owner:
            raise _make_gone()
        return Blob(id, about["name"], about["mime_type"], about["size"])

    async def read(self, blob: Blob) -> AsyncIterator[bytes]:
        """See `BlobStore`."""
        about = await self._read_about(blob.id)
        for number in range(about.get("pieces", 0)):
            piece = await self._client.call("HGET", self._client.keys.blob(blob.id), number)
            if piece is None:
                raise _make_gone()
            if piece:
                yield piece

    async def expire(self) -> None:
        """Nothing to do: the server forgets them by itself."""

    async def _keep(
        self, id: str, number: int, piece: bytes, size: int, about: dict[str, Any] | None
    ) -> bool:
        keys = (self._client.keys.blob(id), self._client.keys.blobs())
        bounds = (self._most, MOST_FILES, round(KEPT_S), round(1000 * SPARED_S))
        described = "" if about is None else json.dumps(about)
        args = (id, number, piece, size, *bounds, described)
        try:
            return bool(await self._client.run_script("keep_blob", keys, args) == b"1")
        except StoreFull:
            return False

    async def _read_about(self, id: str) -> dict[str, Any]:
        if not is_id(id):
            raise _make_gone()
        text = await self._client.call("HGET", self._client.keys.blob(id), "about")
        if text is None:
            raise _make_gone()
        about: dict[str, Any] = json.loads(text)
        return about

    async def _drop(self, id: str) -> None:
        await self._client.call("DEL", self._client.keys.blob(id))
        await self._client.call("HDEL", self._client.keys.blobs(), id)


def _make_gone() -> BlobGone:
    return BlobGone("the file is not kept any more.")
