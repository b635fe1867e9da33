"""What the server must be for a process to begin, and what is said of one that is in danger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import redis

from sigil.errors import ConfigError, StoreFull
from sigil.lanes.effects import Accept, Push
from sigil.lanes.lane import LaneKind
from sigil.stores import Stores, connect
from sigil.stores.redis import build_stores
from sigil.stores.redis.client import Client
from sigil.stores.redis.keys import Keys
from sigil.testing import fake_stores
from tests.conftest import serve_valkey


async def accept(stores: Stores, id: str = "i") -> None:
    lane = await stores.lanes.key(LaneKind.INBOUND, "memory", "a")
    await stores.lanes.push(Push(lane, id, {"body": "x" * 1000}), [Accept(id)])


async def test_a_lost_key_is_named_and_no_other_one_is_made() -> None:
    stores = fake_stores()
    await stores.backend.check_start()
    await accept(stores)
    client: Any = stores.backend
    secret = await client.redis.get("sigil:secret")

    def start_another() -> Stores:
        return build_stores(Client(client.redis, Keys()))

    await client.redis.delete("sigil:secret")
    with pytest.raises(ConfigError, match="sigil:secret") as caught:
        await start_another().backend.check_start()
    assert "backup" in (caught.value.hint or "")
    with pytest.raises(ConfigError):
        await start_another().lanes.item_id("x")
    assert await client.redis.exists("sigil:secret") == 0
    await client.redis.set("sigil:secret", secret)
    another = start_another()
    await another.backend.check_start()
    assert await another.lanes.item_id("x") == await stores.lanes.item_id("x")


@pytest.mark.valkey
async def test_a_cluster_is_refused(tmp_path: Path) -> None:
    with serve_valkey("--cluster-enabled", "yes", "--cluster-config-file", "n.conf") as url:
        stores = connect(url)
        with pytest.raises(ConfigError, match="cluster mode"):
            await stores.backend.check_start()
        await stores.backend.close()


# ---------------------------------------------------------------- memory


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with serve_valkey() as url:
        yield url


@pytest.fixture
async def own(server_url: str) -> AsyncIterator[Stores]:
    made = connect(server_url)
    yield made
    await made.backend.close()


@pytest.mark.valkey
async def test_new_messages_are_refused_from_nine_tenths_of_the_memory_on(
    own: Stores, server_url: str
) -> None:
    with redis.Redis.from_url(server_url) as server:
        server.set("ballast", "x" * 30_000_000)  # beside it, what a connection needs is nothing
        await accept(own, "first")
        used = (await own.backend.read_memory()).used
        server.config_set("maxmemory", int(used / 0.8))
        assert any("80%" in warning for warning in await own.backend.list_warnings())
        await accept(own, "second")
        server.config_set("maxmemory", int(used / 0.92))
        with pytest.raises(StoreFull) as caught:
            await accept(own, "third")
        assert caught.value.code == "store.full"
        with pytest.raises(StoreFull):
            await own.backend.check_room()
        with pytest.raises(StoreFull):
            await own.chats.touch("ann", "web", "chat", "a title")
        assert await own.chats.owner("web", "chat") is None
        memory = await own.backend.read_memory()
        assert memory.limit == int(used / 0.92)
        assert not memory.takes_messages
        lane = await own.lanes.key(LaneKind.INBOUND, "memory", "a")
        push = Push(lane, "first", {"body": "x"})
        assert (await own.lanes.push(push, [Accept("first")])).duplicate
        server.config_set("maxmemory", 2 * used)
        await accept(own, "third")
        await own.backend.check_room()
        server.config_set("maxmemory", 0)
        assert any("maxmemory is 0" in warning for warning in await own.backend.list_warnings())


@pytest.mark.parametrize(("used", "is_full"), [(8_999, 0), (9_000, 1)])
async def test_memory_is_full_at_exactly_nine_tenths(
    stores: Stores, used: int, is_full: int
) -> None:
    lua = (resources.files("sigil.stores") / "lua" / "_room.lua").read_text()
    info = f"'\\nmaxmemory:10000\\nused_memory:{used}\\n'"
    lua = f"local redis = {{ pcall = function() return {info} end }}\n{lua}"
    lua += "\nlocal _, _, is_full = measure_room() return is_full and 1 or 0"
    assert await stores.backend.redis.eval(lua, 0) == is_full  # type: ignore[attr-defined]  # a look inside
