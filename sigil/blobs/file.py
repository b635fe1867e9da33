"""Files in a folder, for roles that all run on one machine.

    data_dir/blobs/ID        one line of JSON about the file, then its bytes
    data_dir/blobs/.ID.new   one that is still being written

A file's age is counted from its last write. Names out of messages are in the first line, never in
a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

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
from sigil.errors import BlobGone, StoreError

LARGEST = 50 * MB
MOST = 2048 * MB
MOST_FILES = 10_000
LEAST_FREE = 512 * MB
"""What is left free on the disk, on which the private Valkey may write its log."""

_PIECE = MB
_LONGEST_HEAD = 16 * 1024


class FileBlobs:
    """A `BlobStore` in a folder, which is made on first use. The bytes of all files are bounded by
    `most`; several processes that write at the same moment may exceed it by what they write."""

    def __init__(
        self,
        folder: Path,
        *,
        largest: int = LARGEST,
        most: int = MOST,
        most_files: int = MOST_FILES,
        least_free: int = LEAST_FREE,
    ) -> None:
        self.largest = largest
        self._folder = folder
        self._most = most
        self._most_files = most_files
        self._least_free = least_free

    async def put(
        self, data: AsyncIterator[bytes], *, name: str, mime_type: str, owner: str
    ) -> Blob:
        """See `BlobStore`."""
        id, size = make_id(), 0
        path = self._folder / f".{id}.new"
        with _translate_errors():
            file = await asyncio.to_thread(self._create, path)
        try:
            with _translate_errors():
                head = {"name": name, "mime_type": mime_type, "owner": owner}
                await asyncio.to_thread(file.write, json.dumps(head).encode() + b"\n")
            async for piece in cut_pieces(data, _PIECE):
                size += len(piece)
                if size > self.largest:
                    raise refuse_size(name, None, self.largest)
                with _translate_errors():
                    if not await asyncio.to_thread(self._write, file, piece):
                        raise refuse_for_room(name)
            with _translate_errors():
                await asyncio.to_thread(self._publish, file, path, self._folder / id)
        except BaseException:
            # Not awaited, since the task may be cancelled again at once.
            file.close()
            path.unlink(missing_ok=True)
            raise
        return Blob(id, name, mime_type, size)

    async def get(self, id: str, *, owner: str) -> Blob:
        """See `BlobStore`."""
        with _translate_errors():
            blob = await asyncio.to_thread(self._find, id, owner)
        if blob is None:
            raise _make_gone()
        return blob

    async def read(self, blob: Blob) -> AsyncIterator[bytes]:
        """See `BlobStore`."""
        with _translate_errors():
            opened = await asyncio.to_thread(self._open, blob.id)
        if opened is None:
            raise _make_gone()
        file, _ = opened
        with file, _translate_errors():
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece

    async def expire(self) -> None:
        """See `BlobStore`."""
        with _translate_errors():
            await asyncio.to_thread(self._remove_old)

    # ------------------------------------------------------------ in a thread

    def _create(self, path: Path) -> BinaryIO:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.fdopen(os.open(path, flags, 0o600), "wb")

    def _write(self, file: BinaryIO, piece: bytes) -> bool:
        """Writes a piece if there is room, for which the oldest files may have to go."""
        if shutil.disk_usage(self._folder).free < self._least_free + len(piece):
            return False
        if not self._make_room(len(piece)):
            return False
        file.write(piece)
        return True

    def _publish(self, file: BinaryIO, written: Path, path: Path) -> None:
        """Makes the file visible under its id, complete and on the disk."""
        file.flush()
        os.fsync(file.fileno())
        file.close()
        written.replace(path)

    def _make_room(self, size: int) -> bool:
        now, kept = time.time(), sorted(self._list(), key=lambda each: each[1].st_mtime)
        total, count = size + sum(status.st_size for _, status in kept), len(kept)
        for path, status in kept:
            if total <= self._most and count <= self._most_files:
                return True
            if now - status.st_mtime < SPARED_S:
                return False
            path.unlink(missing_ok=True)
            total, count = total - status.st_size, count - 1
        return total <= self._most

    def _remove_old(self) -> None:
        now = time.time()
        for path, status in self._list():
            if now - status.st_mtime >= KEPT_S:
                path.unlink(missing_ok=True)

    def _list(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The files, those that are still being written included."""
        if not self._folder.is_dir():
            return
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):
                if is_id(entry.name.removeprefix(".").removesuffix(".new")):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)

    def _find(self, id: str, owner: str) -> Blob | None:
        opened = self._open(id)
        if opened is None:
            return None
        file, head = opened
        with file:
            if head.get("owner") != owner:
                return None
            size = os.fstat(file.fileno()).st_size - file.tell()
        return Blob(id, str(head.get("name")), str(head.get("mime_type")), size)

    def _open(self, id: str) -> tuple[BinaryIO, dict[str, str]] | None:
        """The file, read up to its first byte, and its first line; None if it is gone."""
        if not is_id(id):
            return None
        try:
            descriptor = os.open(self._folder / id, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        file = os.fdopen(descriptor, "rb")
        try:
            if time.time() - os.fstat(descriptor).st_mtime < KEPT_S:
                return file, json.loads(file.readline(_LONGEST_HEAD))
        except ValueError:
            pass  # somebody has written over it
        file.close()
        return None


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"files cannot be kept: {error.strerror}.") from error


def _make_gone() -> BlobGone:
    return BlobGone("the file is not kept any more.")
