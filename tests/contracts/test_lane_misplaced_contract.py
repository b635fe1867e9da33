"""Keys of a lane that are of another type: a bug or a foreign tool wrote them."""

from __future__ import annotations

import pytest
import structlog

from sigil.errors import StoreError
from sigil.lanes.effects import Accept, DeadLetter, Finish, Outcome, Push, Stage
from sigil.lanes.lane import Refusal
from sigil.stores import Stores
from sigil.testing import expire_leases
from tests.contracts.lane_bench import SESSION, TTL, fill, ids, prefix, redis, take, today


async def misplace(stores: Stores, name: str) -> str:
    """Puts a text where something else belongs."""
    key = prefix(stores) + name
    await redis(stores).delete(key)
    await redis(stores).set(key, "foreign")
    return key


async def aside(stores: Stores, name: str) -> bytes | None:
    keys = stores.backend.keys  # type: ignore[attr-defined]  # what only a look inside can show
    found: bytes | None = await redis(stores).get(keys.misplaced(name))
    return found


async def test_an_item_whose_record_is_no_record_can_be_buried(stores: Stores) -> None:
    for item_id in "12":
        await stores.lanes.push(Push(SESSION, item_id, {"body": "x"}), [Accept(item_id)])
    key = await misplace(stores, "item:1")
    with structlog.testing.capture_logs() as logs:
        lease = await take(stores, SESSION)
    assert [(entry["log_level"], entry["key"]) for entry in logs] == [("error", key)]
    assert (ids(lease), "body" in lease.items[0].fields) == (["1", "2"], False)
    assert lease.items[1].fields["body"] == "x"
    dead = [Finish("1", Outcome.DEAD, keep_body=True), DeadLetter("1", Stage.TURN, "unreadable")]
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], dead, keep=True)
    await stores.lanes.commit(SESSION, lease.token, 2, ["2"], [Finish("2", Outcome.ANSWERED)])
    assert [letter["reason"] for letter in await stores.messages.dead()] == ["unreadable"]
    assert await today(stores) == {"accepted": 2, "dead": 1, "answered": 1}
    assert (await stores.lanes.verify())["balanced"]
    assert await aside(stores, "item:1") == b"foreign"
    assert (await stores.lanes.push(Push(SESSION, "1", {"body": "x"}))).duplicate


async def test_a_journal_that_is_no_list_counts_as_empty(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    name = f"lane:{SESSION}:journal"
    await misplace(stores, name)
    lease = await take(stores, SESSION)
    assert (ids(lease), lease.journal) == (["1"], ())
    assert await aside(stores, name) == b"foreign"


@pytest.mark.parametrize("expired", [False, True])
async def test_a_lane_that_is_no_list_is_not_held(stores: Stores, expired: bool) -> None:
    """The sweep puts it into quarantine."""
    await fill(stores, SESSION, "1")
    if expired:
        await take(stores, SESSION, "crashed")
        await expire_leases(stores)
    await misplace(stores, f"lane:{SESSION}:ids")
    before = await redis(stores).hgetall(f"{prefix(stores)}lane:{SESSION}")
    with pytest.raises(StoreError):
        await stores.lanes.take(SESSION, "n", ttl=TTL, limit=1)
    assert await redis(stores).hgetall(f"{prefix(stores)}lane:{SESSION}") == before


@pytest.mark.parametrize("name", ["item:1", f"lane:{SESSION}:journal"])
async def test_a_lane_that_is_not_granted_is_left_as_it_is(stores: Stores, name: str) -> None:
    await fill(stores, SESSION, "1")
    lease = await take(stores, SESSION)
    await misplace(stores, name)
    assert await stores.lanes.take(SESSION, "other", ttl=TTL, limit=1) is Refusal.BUSY
    assert await aside(stores, name) is None
    assert (await take(stores, SESSION)).token == lease.token
    assert await aside(stores, name) == b"foreign"
