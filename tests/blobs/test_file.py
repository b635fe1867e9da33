"""What is special about files in a folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sigil.blobs.file import FileBlobs
from sigil.errors import BlobGone, MediaRefused, StoreError


async def one(piece: bytes = b"x") -> AsyncIterator[bytes]:
    yield piece


async def put(blobs: FileBlobs, name: str = "a") -> str:
    return (await blobs.put(one(), name=name, mime_type="a/b", owner="o")).id


async def test_others_on_the_machine_cannot_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "blobs"
    id = await put(FileBlobs(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / id).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\0b", ".", "con\n{}"])
async def test_a_name_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    id = await put(FileBlobs(tmp_path / "blobs"), name)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "blobs",
        f"blobs/{id}",
    ]


async def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    (tmp_path / "secret").write_text('{"owner": "o", "name": "a", "mime_type": "b"}\nsecret')
    (tmp_path / ("A" * 32)).symlink_to(tmp_path / "secret")
    with pytest.raises(StoreError):
        await blobs.get("A" * 32, owner="o")


async def test_what_is_overwritten_is_gone(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    id = await put(blobs)
    (tmp_path / id).write_bytes(b"\xff\xfe")
    with pytest.raises(BlobGone):
        await blobs.get(id, owner="o")


async def test_a_file_that_a_killed_process_left_unfinished_goes_with_the_others(
    tmp_path: Path,
) -> None:
    blobs, left = FileBlobs(tmp_path), tmp_path / f".{'A' * 32}.new"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    other = tmp_path / "not-ours"
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    await blobs.expire()
    assert list(tmp_path.iterdir()) == [other]


async def test_many_small_files_are_bounded_too(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, most_files=2, least_free=0)
    first, _ = await put(blobs), await put(blobs)
    with pytest.raises(MediaRefused, match="no room"):
        await put(blobs)
    os.utime(tmp_path / first, (0, 0))
    await put(blobs)
    assert len(list(tmp_path.iterdir())) == 2


WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from sigil.blobs.file import FileBlobs

async def pieces():
    while True:
        yield b"x" * 2**20
        print("written", flush=True)
        await asyncio.sleep(0.01)

blobs = FileBlobs(Path(sys.argv[1]), largest=2**40, least_free=0)
asyncio.run(blobs.put(pieces(), name="a", mime_type="a/b", owner="o"))
"""


async def test_a_process_that_is_killed_while_it_writes_leaves_no_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(3):
            writer.stdout.readline()
        writer.kill()
    [left] = tmp_path.iterdir()
    assert left.name.endswith(".new")
    os.utime(left, (0, 0))
    await FileBlobs(tmp_path).expire()
    assert list(tmp_path.iterdir()) == []


async def test_the_disk_is_not_filled(tmp_path: Path) -> None:
    with pytest.raises(MediaRefused, match="no room"):
        await put(FileBlobs(tmp_path, least_free=2**60))
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("")
    with pytest.raises(StoreError):
        await put(FileBlobs(tmp_path / "blobs"))
