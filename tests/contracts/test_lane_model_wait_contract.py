"""A lane whose head waits for a model: until when it rests, and what ends that."""

from __future__ import annotations

import uuid

from sigil.lanes.effects import Effect, EndWait, Stop, Wait
from sigil.lanes.lane import Lease, Refusal
from sigil.stores import Stores
from sigil.testing import make_due
from tests.contracts import lane_bench
from tests.contracts.lane_bench import CHAT, SESSION, fill, ids


async def take(stores: Stores, lane: str = SESSION) -> Lease:
    return await lane_bench.take(stores, lane, uuid.uuid4().hex)


async def wait(stores: Stores, lease: Lease, seconds: float = 60.0) -> tuple[str, ...]:
    effects = [Wait(lease.lane, seconds)]
    commit = await stores.lanes.commit(lease.lane, lease.token, 1, [], effects)
    again = await stores.lanes.commit(lease.lane, lease.token, 1, [], effects)
    assert again == commit
    return commit.wake


async def apply(stores: Stores, effect: Effect) -> tuple[str, ...]:
    """In another lane's commit, as routing does it."""
    await fill(stores, CHAT, uuid.uuid4().hex)
    lease = await take(stores, CHAT)
    return (await stores.lanes.commit(CHAT, lease.token, 1, ids(lease), [effect])).wake


async def is_parked(stores: Stores) -> bool:
    return await lane_bench.refused(stores, SESSION) is Refusal.PARKED


async def test_a_head_that_waits_keeps_its_place_without_a_strike(stores: Stores) -> None:
    await fill(stores, SESSION, *"12")
    assert await wait(stores, await take(stores)) == ()
    assert await is_parked(stores)
    await fill(stores, SESSION, "3")
    assert await is_parked(stores)
    status = await stores.lanes.status(SESSION)
    assert (status.waiting, status.leased, status.waits) == (3, False, 1)
    assert status.rest is not None
    assert 50 < status.rest <= 60
    (rest,) = await stores.lanes.list_waits()
    assert 50 < rest <= 60
    await make_due(stores)
    lease = await take(stores)
    assert (ids(lease), lease.strikes) == (["1", "2", "3"], 0)
    assert not lease.again


async def test_waits_are_counted_for_each_head(stores: Stores) -> None:
    await fill(stores, SESSION, *"12")
    for times in (1, 2, 3):
        await wait(stores, await take(stores))
        assert (await stores.lanes.status(SESSION)).waits == times
        await make_due(stores)
    lease = await take(stores)
    status = await stores.lanes.status(SESSION)
    assert (status.leased, status.waits, status.rest) == (True, 3, None)
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], [])
    status = await stores.lanes.status(SESSION)
    assert (status.waiting, status.waits, status.rest) == (1, 0, None)
    await wait(stores, await take(stores))
    assert (await stores.lanes.status(SESSION)).waits == 1


async def test_the_end_of_a_wait_makes_the_lane_due_at_once(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    await wait(stores, await take(stores))
    assert await apply(stores, EndWait(SESSION)) == (SESSION,)
    assert (await stores.lanes.status(SESSION)).rest is None
    assert await stores.lanes.list_waits() == []
    assert ids(await take(stores)) == ["1"]


async def test_the_end_of_a_wait_ends_no_other_rest(stores: Stores) -> None:
    assert await apply(stores, EndWait(SESSION)) == ()
    await fill(stores, SESSION, "1")
    await wait(stores, await take(stores))
    await make_due(stores)
    lease = await take(stores)
    await stores.lanes.park(SESSION, lease.token, delay=30)
    assert (await stores.lanes.status(SESSION)).rest is None
    assert await apply(stores, EndWait(SESSION)) == ()
    assert await is_parked(stores)


async def test_a_wait_that_was_ended_in_hand_does_not_begin(stores: Stores) -> None:
    for effect in (EndWait(SESSION), Stop(SESSION)):
        await fill(stores, SESSION, type(effect).__name__)
        lease = await take(stores)
        await apply(stores, effect)
        assert await wait(stores, lease) == (SESSION,)
        lease = await take(stores)
        await stores.lanes.commit(SESSION, lease.token, 1, ids(lease), [])


async def test_an_end_that_came_to_nothing_ends_no_later_wait(stores: Stores) -> None:
    await fill(stores, SESSION, *"12")
    lease = await take(stores)
    await apply(stores, EndWait(SESSION))
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], [])
    await wait(stores, await take(stores))
    assert await is_parked(stores)


async def test_a_stop_ends_a_wait(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    await wait(stores, await take(stores))
    assert await apply(stores, Stop(SESSION)) == (SESSION,)
    assert await stores.lanes.list_waits() == []
    assert (await take(stores)).stop == 1
