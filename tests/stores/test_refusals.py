"""What becomes of each error that a real server gives: whether it passes, and what is said."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from sigil.errors import CommandRefused, StoreDenied, StoreError, StoreFull, StoreReadOnly
from sigil.lanes.effects import Push
from sigil.stores import Stores, connect
from sigil.waiting import insist
from tests.conftest import serve_valkey

pytestmark = pytest.mark.valkey


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with serve_valkey() as url:
        yield url


@pytest.fixture
def server(server_url: str) -> Iterator[redis.Redis]:
    """A server whose settings a test may change."""
    with redis.Redis.from_url(server_url) as client:
        yield client
        client.execute_command("REPLICAOF", "NO", "ONE")
        client.config_set("maxmemory", 0)
        client.config_set("min-replicas-to-write", 0)


@pytest.fixture
async def own(server: redis.Redis, server_url: str) -> AsyncIterator[Stores]:
    made = connect(server_url, prefix=f"test-{uuid.uuid4().hex}:")
    yield made
    await made.backend.close()


async def write_in_each_way(stores: Stores) -> list[StoreError]:
    """By a command, by a pipeline, by a script."""
    client: Any = stores.backend
    writes = (
        client.call("SET", f"{client.keys.prefix}a", "b"),
        stores.counters.add({"a": 1}),
        stores.lanes.push(Push("inbound:memory:a", "i", {"body": "x"})),
    )
    failures = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(failure, StoreError) for failure in failures), failures
    return failures  # type: ignore[return-value]


async def assert_that_it_passes(
    stores: Stores, kind: type[StoreError], code: str, words: str
) -> None:
    for failure in await write_in_each_way(stores):
        assert (type(failure), failure.code, failure.transient) == (kind, code, True)
        assert words in failure.message
        assert failure.hint
    with pytest.raises(kind):
        await stores.backend.check_room()


async def test_a_full_memory(own: Stores, server: redis.Redis) -> None:
    await own.backend.check_room()
    server.config_set("maxmemory", 1_000_000)  # less than an empty server needs
    await assert_that_it_passes(own, StoreFull, "store.full", "memory")


async def test_a_replica(own: Stores, server: redis.Redis) -> None:
    server.execute_command("REPLICAOF", "127.0.0.1", "1")
    await assert_that_it_passes(own, StoreReadOnly, "store.read_only", "replica")


async def test_too_few_replicas(own: Stores, server: redis.Redis) -> None:
    server.config_set("min-replicas-to-write", 1)
    await assert_that_it_passes(own, StoreReadOnly, "store.read_only", "too few replicas")


async def test_a_failed_disk(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with serve_valkey("--dir", str(gone), "--save", "3600 1000000") as url:
        with redis.Redis.from_url(url) as server:
            shutil.rmtree(gone)
            server.bgsave()
            while server.info("persistence")["rdb_last_bgsave_status"] == "ok":
                await asyncio.sleep(0.05)
        stores = connect(url)
        await assert_that_it_passes(stores, StoreReadOnly, "store.read_only", "disk")
        with pytest.raises(StoreReadOnly):
            await stores.backend.ping()
        await stores.backend.close()


async def test_a_user_without_rights(server: redis.Redis, server_url: str) -> None:
    rights = ["+@all", "-@write", "+evalsha"]
    server.acl_setuser("limited", enabled=True, passwords=["+pw"], keys=["*"], commands=rights)
    stores = connect(server_url.replace("unix://", "unix://limited:pw@"))
    await assert_that_it_passes(stores, StoreDenied, "store.denied", "forbids")
    await stores.backend.close()


async def test_a_wrong_password(server: redis.Redis, server_url: str) -> None:
    stores = connect(server_url.replace("unix://", "unix://nobody:hunter2@"))
    await assert_that_it_passes(stores, StoreDenied, "store.denied", "login")
    await stores.backend.close()


@pytest.mark.parametrize(("value", "code"), [("no number", "ERR"), (["a list"], "WRONGTYPE")])
async def test_a_wrong_value_and_a_key_of_another_type_stay_wrong(
    own: Stores, server: redis.Redis, value: str | list[str], code: str
) -> None:
    client: Any = own.backend
    key = client.keys.metrics()
    if isinstance(value, str):
        server.hset(key, "a", value)
    else:
        server.rpush(key, *value)
    by_command = client.call("HINCRBY", key, "a", 1)
    for write in (by_command, own.counters.add({"a": 1})):
        with pytest.raises(CommandRefused, match=code) as caught:
            await write
        assert not caught.value.transient


async def test_what_passes_is_insisted_on_and_what_stays_is_not(
    own: Stores, server: redis.Redis
) -> None:
    async def write() -> None:
        await own.counters.add({"a": 1})

    server.execute_command("REPLICAOF", "127.0.0.1", "1")
    insisting = asyncio.create_task(insist(write, 10))
    await asyncio.sleep(0.1)
    assert not insisting.done()
    server.execute_command("REPLICAOF", "NO", "ONE")
    await asyncio.wait_for(insisting, 5)
    client: Any = own.backend
    server.set(client.keys.metrics(), "text")
    with pytest.raises(CommandRefused):
        await asyncio.wait_for(insist(write, 60), 5)
