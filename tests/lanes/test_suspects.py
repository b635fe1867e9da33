"""A process and its one suspect lane."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sigil.errors import EffectRejected
from sigil.lanes.effects import Push
from sigil.lanes.held import Held
from sigil.lanes.lane import Lease, Refusal
from sigil.lanes.leases import LeaseKeeper
from sigil.stores import Stores
from sigil.testing import expire_leases
from tests.lanes.test_leases import Bench

LANES = [f"session:any:{number}" for number in range(4)]
A, B, C, FRESH = LANES


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A, B and C are suspect, of two items each; the fourth lane is not."""
    made = Bench()
    await fill(made.stores, FRESH)
    for lane in (A, B, C):
        await fill(made.stores, lane)
        for worker in "12":
            await made.stores.lanes.take(lane, f"died-{worker}", ttl=9, limit=9)
            await expire_leases(made.stores)
    yield made
    await made.stores.backend.close()


async def fill(stores: Stores, lane: str) -> None:
    for number in range(2):
        await stores.lanes.push(Push(lane, f"{lane}-{number}", {}))


async def try_to_hold(keeper: LeaseKeeper, lane: str) -> Held | Refusal:
    async with keeper.hold(lane) as held:
        return held


async def woken(bench: Bench, count: int) -> list[str]:
    async with asyncio.timeout(5):
        while len(bench.woken.lanes) < count:
            await asyncio.sleep(0.01)
    return bench.woken.lanes


async def test_a_process_holds_one_suspect_lane_beside_those_that_are_not(bench: Bench) -> None:
    keeper = bench.keeper()
    async with keeper.hold(A) as held:
        assert isinstance(held, Held)
        assert held.suspect
        assert await try_to_hold(keeper, B) is Refusal.SUSPECT
        assert isinstance(await try_to_hold(keeper, FRESH), Held)
        assert isinstance(await try_to_hold(bench.keeper(), C), Held), "another process"
        assert bench.woken.lanes == []
    assert bench.woken.lanes == [B]
    assert isinstance(await try_to_hold(keeper, B), Held)


async def test_of_two_that_are_taken_at_the_same_moment_one_is_refused(bench: Bench) -> None:
    keeper = bench.keeper()
    async with contextlib.AsyncExitStack() as stack:
        taken = await asyncio.gather(
            *(stack.enter_async_context(keeper.hold(lane)) for lane in (A, B, C))
        )
        assert sum(isinstance(each, Held) for each in taken) == 1
        assert taken.count(Refusal.SUSPECT) == 2


async def test_a_lane_is_no_suspect_any_more_once_its_head_moved(bench: Bench) -> None:
    keeper = bench.keeper()
    async with keeper.hold(A) as held:
        assert isinstance(held, Held)
        await try_to_hold(keeper, B)
        await held.finish(held.items[:1])
        assert not held.given_back
        assert bench.woken.lanes == [B]
        assert isinstance(await try_to_hold(keeper, B), Held)


async def test_those_that_were_refused_are_woken_one_after_the_other(bench: Bench) -> None:
    """As long as there is room for one: another process may take what was woken."""
    keeper = bench.keeper()
    async with keeper.hold(A):
        await try_to_hold(keeper, B)
        await try_to_hold(keeper, C)
    assert bench.woken.lanes == [B]
    assert await woken(bench, 2) == [B, C]


async def test_one_that_is_held_meanwhile_is_waited_for(bench: Bench) -> None:
    keeper = bench.keeper()
    async with keeper.hold(A):
        await try_to_hold(keeper, B)
        await try_to_hold(keeper, C)
    async with keeper.hold(B):
        await asyncio.sleep(0.5)  # longer than one is given to be taken
        assert bench.woken.lanes == [B]
    assert bench.woken.lanes == [B, C]


async def test_a_take_that_fails_leaves_room_for_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, take = bench.keeper(), bench.stores.lanes.take

    async def fail(lane: str, nonce: str, *, suspect: bool, **how: int) -> Lease | Refusal:
        if suspect and lane == A:
            raise EffectRejected("no")
        return await take(lane, nonce, suspect=suspect, **how)

    monkeypatch.setattr(bench.stores.lanes, "take", fail)
    with pytest.raises(EffectRejected):
        await try_to_hold(keeper, A)
    assert isinstance(await try_to_hold(keeper, B), Held)


async def test_who_is_cancelled_while_it_takes_leaves_room_for_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, asked = bench.keeper(), asyncio.Event()
    take = bench.stores.lanes.take

    async def fall_silent(lane: str, nonce: str, *, suspect: bool, **how: int) -> Lease | Refusal:
        answer = await take(lane, nonce, suspect=suspect, **how)
        if suspect and not asked.is_set():
            asked.set()
            await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(bench.stores.lanes, "take", fall_silent)
    taker = asyncio.create_task(try_to_hold(keeper, A))
    await asked.wait()
    assert await try_to_hold(keeper, B) is Refusal.SUSPECT
    taker.cancel()
    await asyncio.gather(taker, return_exceptions=True)
    assert bench.woken.lanes == [A, B], "one was given back, the other had no room"
    async with keeper.hold(A) as held:
        assert isinstance(held, Held)
        assert held.strikes == 0
