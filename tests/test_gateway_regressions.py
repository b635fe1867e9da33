"""Faults that the chaos run found, each as the smallest case that shows it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sigil.effects import Push
from sigil.lanes import Renewal
from sigil.leases import Held, LeaseKeeper, LeaseTerms
from sigil.stores import Stores

LANE = "session:any:a"


class Woken:
    def __init__(self) -> None:
        self.lanes: list[str] = []

    def wake(self, lane: str) -> None:
        self.lanes.append(lane)


class LateAnswers:
    """Lanes whose answer to a commit is on its way for as long as a test likes."""

    def __init__(self, stores: Stores) -> None:
        self._lanes = stores.lanes
        self.executed = asyncio.Event()
        self.arrives = asyncio.Event()
        self.renewed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes, name)

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        answer = await self._lanes.commit(*args, **kwargs)
        self.executed.set()
        await self.arrives.wait()
        return answer

    async def renew(self, *args: Any, **kwargs: Any) -> Renewal:
        try:
            return await self._lanes.renew(*args, **kwargs)
        finally:
            self.renewed.set()


async def test_a_renewal_that_meets_the_last_commit_does_not_swallow_its_wakeups(
    stores: Stores,
) -> None:
    """The commit had ended the lease, the renewal found it gone and cancelled the holder: the
    lanes to wake were never heard of, and waited for the sweep."""
    await stores.lanes.push(Push(LANE, "1", {}))
    await stores.lanes.push(Push(LANE, "2", {}))
    woken, lanes = Woken(), LateAnswers(stores)
    keeper = LeaseKeeper(lanes, woken, lambda: LeaseTerms(ttl=15, every=0.01))
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        committing = asyncio.ensure_future(held.commit(["1"]))
        await lanes.executed.wait()
        lanes.renewed.clear()
        await lanes.renewed.wait()
        lanes.arrives.set()
        await committing
    assert woken.lanes == [LANE]


async def test_the_first_sweep_puts_a_lane_off_no_longer_than_the_push_did(
    stores: Stores,
) -> None:
    """It doubled the time at once, so that a lane whose wake-up was lost three times rested for
    10.5 s instead of 6, and one of six chaos runs was not drained in time."""
    await stores.lanes.push(Push(LANE, "1", {}))
    assert (await stores.lanes.sweep()).next_due == pytest.approx(1.5, abs=0.5)
    await _reach_due_times(stores)
    assert (await stores.lanes.sweep()).next_due == pytest.approx(1.5, abs=0.5)
    await _reach_due_times(stores)
    assert (await stores.lanes.sweep()).next_due == pytest.approx(3, abs=0.5)


async def _reach_due_times(stores: Stores) -> None:
    client: Any = stores.backend
    await client.redis.zadd(client.keys.due(), {LANE: 0})
