"""What is special about files in Redis: messages need the memory more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from sigil.errors import BlobGone, MediaRefused
from sigil.stores import Stores, connect
from sigil.stores.redis.client import Client
from tests.conftest import serve_valkey

MB = 1024 * 1024
LIMIT = 32 * MB

pytestmark = pytest.mark.valkey


@pytest.fixture(scope="module")
def small_server() -> Iterator[str]:
    with serve_valkey("--maxmemory", str(LIMIT)) as url:
        yield url


@pytest.fixture
async def small(small_server: str) -> AsyncIterator[Stores]:
    made = connect(small_server)
    client = made.backend
    assert isinstance(client, Client)
    await client.redis.flushall()
    yield made
    await made.backend.close()


async def data(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // MB):
        yield b"x" * MB


async def put(stores: Stores, size: int) -> None:
    await stores.blobs.put(data(size), name="a.bin", mime_type="a/b", owner="o")


async def test_files_get_a_quarter_of_the_memory(small: Stores) -> None:
    await put(small, 4 * MB)
    with pytest.raises(MediaRefused, match="no room"):
        await put(small, 5 * MB)
    await put(small, 3 * MB)  # what was refused is not kept


async def test_a_server_that_fills_takes_no_files_and_still_takes_messages(small: Stores) -> None:
    client = small.backend
    assert isinstance(client, Client)
    for number in range(25):
        await client.redis.set(f"filler:{number}", b"x" * (MB - 1024))
    with pytest.raises(MediaRefused, match="no room"):
        await put(small, MB)
    await small.backend.check_room()


async def test_a_full_server_refuses_kindly(small: Stores) -> None:
    client = small.backend
    assert isinstance(client, Client)
    await client.redis.config_set("maxmemory", str(2 * MB))
    try:
        with pytest.raises(MediaRefused, match="no room"):
            await put(small, MB)
    finally:
        await client.redis.config_set("maxmemory", str(LIMIT))


async def test_a_file_that_a_killed_process_left_unfinished_ends_by_itself(small: Stores) -> None:
    client = small.backend
    assert isinstance(client, Client)
    key = client.keys.blob("A" * 32)
    args = ("A" * 32, 0, b"half", 4, 2**29, 2000, 86_400, 600_000, "")
    assert await client.run_script("keep_blob", (key, client.keys.blobs()), args) == b"1"
    assert 0 < await client.redis.ttl(key) <= 86_400
    with pytest.raises(BlobGone):
        await small.blobs.get("A" * 32, owner="o")
