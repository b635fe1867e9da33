"""A user of Redis that loses rights while Sigil runs: that says nothing about the keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from sigil.errors import StoreDenied
from sigil.lanes.effects import Accept, Push
from sigil.stores import Stores, connect
from tests.conftest import serve_valkey
from tests.contracts.lane_bench import CHAT, ids, prefix, redis, take

pytestmark = pytest.mark.valkey

OURS = (
    "item:1",
    "item:2",
    f"lane:{CHAT}",
    f"lane:{CHAT}:ids",
    "lanes:due",
    "directory",
    "ledger:*",
)


async def push(stores: Stores, item_id: str = "2") -> None:
    await stores.lanes.push(Push(CHAT, item_id, {"body": "x"}), [Accept(item_id)])


async def sweep(stores: Stores) -> None:
    await stores.lanes.sweep()


@pytest.fixture
def server() -> Iterator[str]:
    with serve_valkey() as url:
        yield url


@pytest.fixture
async def stores(server: str) -> AsyncIterator[Stores]:
    stores = connect(server)
    yield stores
    await stores.backend.close()


@pytest.mark.parametrize(
    ("hidden", "call"),
    [("lanes:due", push), (f"lane:{CHAT}:ids", sweep)],
)
async def test_a_right_that_is_missing_is_no_wrong_key(
    stores: Stores, hidden: str, call: Callable[[Stores], Awaitable[Any]]
) -> None:
    await push(stores, "1")
    await redis(stores).zadd(f"{prefix(stores)}lanes:due", {CHAT: 1})
    user = ("ACL", "SETUSER", "default", "resetkeys")
    left = [f"~{prefix(stores)}{key}" for key in OURS if key != hidden]
    await redis(stores).execute_command(*user, *left)
    with pytest.raises(StoreDenied):
        await call(stores)
    await redis(stores).execute_command(*user, "allkeys")
    await sweep(stores)
    lease = await take(stores, CHAT)
    assert (ids(lease), lease.items[0].fields["body"]) == (["1"], "x")
