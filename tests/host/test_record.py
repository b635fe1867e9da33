"""A process keeps its record, and follows what the others understand."""

import asyncio
import os

import pytest

from sigil.config import Settings
from sigil.errors import StoreError
from sigil.host import record
from sigil.host.record import RecordKeeper
from sigil.lanes.fleet import LIVE_S, ProcessRecord
from sigil.testing import age_processes

OLD = ProcessRecord("old", ("agent",), "0.9", "c0ffee", "web-1", 1, wakeup_lanes=1)


class Wakeups:
    lanes_per_wakeup = 1

    def wake(self, lane: str) -> None:
        raise AssertionError("nothing is woken here")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "REPORT_EVERY_S", 0.01)


async def wait_for(condition) -> None:
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_the_record_is_there_while_the_process_runs(stores):
    keeper = RecordKeeper(Settings(), ["agent"], wakeup_lanes=32)
    chore = asyncio.create_task(keeper.keep(stores.fleet, Wakeups(), lambda: (200, 7)))
    await wait_for(stores.fleet.list)
    [known] = await stores.fleet.list()
    assert (known.roles, known.pid, known.slots, known.slots_in_use) == (
        ("agent",),
        os.getpid(),
        200,
        7,
    )
    chore.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chore
    assert await stores.fleet.list() == []


async def test_wakeups_name_one_lane_as_long_as_an_older_worker_lives(stores):
    wakeups = Wakeups()

    async def named(lanes: int) -> None:
        async def is_so() -> bool:
            return wakeups.lanes_per_wakeup == lanes

        await wait_for(is_so)

    keeper = RecordKeeper(Settings(), ["routing"], wakeup_lanes=32)
    chore = asyncio.create_task(keeper.keep(stores.fleet, wakeups))
    await named(32)
    await stores.fleet.report(OLD)
    await named(1)
    await age_processes(stores, LIVE_S + 1)
    await named(32)
    chore.cancel()


async def test_a_store_that_is_away_for_a_while_does_not_end_the_chore(stores, monkeypatch):
    report, failures = stores.fleet.report, 0

    async def report_later(written):
        nonlocal failures
        if failures < 3:
            failures += 1
            raise StoreError("gone")
        return await report(written)

    monkeypatch.setattr(stores.fleet, "report", report_later)
    chore = asyncio.create_task(RecordKeeper(Settings(), ["agent"]).keep(stores.fleet, Wakeups()))
    await wait_for(stores.fleet.list)
    assert failures == 3
    chore.cancel()
