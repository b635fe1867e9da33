"""What a store of files promises, in a folder and in Redis."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sigil.blobs.base import KEPT_S, SPARED_S, Blob, BlobStore, find_id, read_file
from sigil.blobs.file import FileBlobs
from sigil.errors import BlobGone, MediaRefused
from sigil.messages import Attachment
from sigil.stores import Stores, connect
from sigil.stores.redis.blobs import RedisBlobs
from sigil.stores.redis.client import Client
from sigil.testing import fake_stores

MB = 1024 * 1024


@dataclass
class Bench:
    """A store that takes 2 MB a file and 4 MB in all, and how to let its files grow old."""

    blobs: BlobStore
    age: Callable[[float], Awaitable[None]]
    count: Callable[[], Awaitable[int]]


@pytest.fixture(params=["file", "fakeredis", pytest.param("valkey", marks=pytest.mark.valkey)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "file":
        yield make_file_bench(tmp_path / "blobs")
        return
    if request.param == "fakeredis":
        stores = fake_stores()
    else:
        url = request.getfixturevalue("valkey_url")
        stores = connect(url, prefix=f"test-{uuid.uuid4().hex}:")
    yield make_redis_bench(stores)
    await stores.backend.close()


def make_file_bench(folder: Path) -> Bench:
    async def age(seconds: float) -> None:
        for path in folder.iterdir():
            os.utime(path, (time.time() - seconds,) * 2)

    async def count() -> int:
        return len(list(folder.iterdir())) if folder.exists() else 0

    return Bench(FileBlobs(folder, largest=2 * MB, most=4 * MB, least_free=0), age, count)


def make_redis_bench(stores: Stores) -> Bench:
    client = stores.backend
    assert isinstance(client, Client)
    keys = client.keys

    async def age(seconds: float) -> None:
        for id, text in (await client.redis.hgetall(keys.blobs())).items():
            written, size = map(int, text.split())
            line = f"{written - round(1000 * seconds)} {size}"
            await client.redis.hset(keys.blobs(), id, line)
            left = await client.redis.ttl(keys.blob(id.decode()))
            await client.redis.expire(keys.blob(id.decode()), max(0, round(left - seconds)))

    async def count() -> int:
        return len(await client.redis.keys(keys.blob("*").replace("%2A", "*")))

    return Bench(RedisBlobs(client, largest=2 * MB, most=4 * MB), age, count)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def put(blobs: BlobStore, *parts: bytes, name: str = "a.bin", owner: str = "t/a") -> Blob:
    return await blobs.put(pieces(*parts), name=name, mime_type="text/plain", owner=owner)


async def read(blobs: BlobStore, blob: Blob) -> bytes:
    return b"".join([piece async for piece in blobs.read(blob)])


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, MB + 7, 2 * MB])
async def test_a_file_comes_back_as_it_went_in(bench: Bench, size: int) -> None:
    data = os.urandom(size)
    blob = await put(bench.blobs, data[: size // 3], b"", data[size // 3 :], name="é\n/../x")
    found = await bench.blobs.get(blob.id, owner="t/a")
    assert found == blob
    assert (found.name, found.mime_type, found.size) == ("é\n/../x", "text/plain", size)
    assert await read(bench.blobs, found) == data


async def test_ids_are_opaque_and_their_own(bench: Bench) -> None:
    first, second = await put(bench.blobs, b"x"), await put(bench.blobs, b"x")
    assert first.id != second.id
    assert len(first.id) == 32
    assert find_id(first.url) == first.id


async def test_a_file_is_its_owners_alone(bench: Bench) -> None:
    blob = await put(bench.blobs, b"x")
    with pytest.raises(BlobGone):
        await bench.blobs.get(blob.id, owner="t/other")


@pytest.mark.parametrize("id", ["", "x", "../../etc/passwd", "A" * 32, "\0" * 32, "a/" * 16])
async def test_what_is_no_id_is_gone(bench: Bench, id: str) -> None:
    with pytest.raises(BlobGone):
        await bench.blobs.get(id, owner="t/a")
    with pytest.raises(BlobGone):
        await read(bench.blobs, Blob(id, "x", "x", 1))


async def test_a_file_that_is_too_large_is_refused_and_not_kept(bench: Bench) -> None:
    with pytest.raises(MediaRefused, match=r"a\.bin is larger than 2 MB"):
        await put(bench.blobs, *[b"x" * MB] * 2, b"y")
    assert await bench.count() == 0


async def test_a_stream_that_breaks_leaves_nothing(bench: Bench) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * MB
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        await bench.blobs.put(broken(), name="a", mime_type="b/c", owner="t/a")
    assert await bench.count() == 0


async def test_after_a_day_a_file_is_gone(bench: Bench) -> None:
    blob = await put(bench.blobs, b"x")
    await bench.age(KEPT_S - 60)
    assert await bench.blobs.get(blob.id, owner="t/a") == blob
    await bench.age(KEPT_S)
    with pytest.raises(BlobGone):
        await bench.blobs.get(blob.id, owner="t/a")
    with pytest.raises(BlobGone):
        await read(bench.blobs, blob)
    await bench.blobs.expire()
    assert await bench.count() == 0


async def test_the_oldest_make_room(bench: Bench) -> None:
    old = await put(bench.blobs, b"x" * 2 * MB)
    await bench.age(SPARED_S + 1)
    newer = await put(bench.blobs, b"y" * (MB + MB // 2))
    await put(bench.blobs, b"z" * MB)
    with pytest.raises(BlobGone):
        await bench.blobs.get(old.id, owner="t/a")
    assert await bench.blobs.get(newer.id, owner="t/a") == newer


async def test_young_files_make_no_room(bench: Bench) -> None:
    first = await put(bench.blobs, b"x" * (2 * MB - 1024))
    await put(bench.blobs, b"y" * (2 * MB - 1024))
    with pytest.raises(MediaRefused, match="no room"):
        await put(bench.blobs, b"z" * MB)
    assert await bench.blobs.get(first.id, owner="t/a") == first


async def test_an_attachment_is_read_within_its_bound(bench: Bench) -> None:
    blob = await put(bench.blobs, b"hello")
    attachment = Attachment(blob.url, "hello.txt")
    assert await read_file(bench.blobs, attachment, "t/a") == b"hello"
    with pytest.raises(MediaRefused, match=r"hello\.txt has 5 bytes; I take up to 4 bytes"):
        await read_file(bench.blobs, attachment, "t/a", 4)
    with pytest.raises(BlobGone):
        await read_file(bench.blobs, replace(attachment, url="https://h/a"), "t/a")
