"""Money and books on a server whose clock steps, or differs from that of a process."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sigil.lanes.effects import Accept, CountUsage, Finish, Outcome, Push
from sigil.money.store import Limit
from sigil.providers.chain.health_store import Cooldown, KeyGrant
from sigil.stores import Stores
from tests.budget_clock import Clock, script_text
from tests.contracts.lane_bench import SESSION, take

HOUR = 3600.0
ALL = [Limit("all", "", 1000, None)]


@pytest.fixture
async def clock(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(stores, "2026-11-22T23:50:00")
    await made.advance()
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)

    async def read_time() -> datetime:
        return datetime.fromtimestamp(made.now, UTC)

    monkeypatch.setattr(stores.backend, "read_time", read_time)
    return made


async def reserved(stores: Stores) -> int:
    return sum([window.reserved for window in await stores.budgets.read_spending(ALL)][:1])


@pytest.mark.parametrize(("forward", "back"), [(0.0, HOUR), (25 * HOUR, 25 * HOUR)])
async def test_money_is_held_no_longer_than_agreed_after_the_clock_stepped_back(
    stores: Stores, clock: Clock, forward: float, back: float
) -> None:
    await clock.advance(forward)
    for number in range(3):
        await stores.budgets.reserve(str(number), ALL, 10, 10, ttl=660 * (number + 1))
    await clock.advance(-back)
    assert await stores.budgets.expire_holds() == 0
    await clock.advance(659)
    assert await stores.budgets.expire_holds() == 0
    await clock.advance(1)
    assert await stores.budgets.expire_holds() == 1
    await clock.advance(1320)
    assert await stores.budgets.expire_holds() == 2


async def test_a_hold_on_a_steady_clock_keeps_its_end(stores: Stores, clock: Clock) -> None:
    await stores.budgets.reserve("1", ALL, 10, 10, ttl=60)
    await clock.advance(59)
    assert await stores.budgets.expire_holds() == 0
    assert await reserved(stores) == 10
    await clock.advance(1)
    assert await stores.budgets.expire_holds() == 1


async def test_a_model_does_not_rest_for_as_long_as_the_clock_stepped_back(
    stores: Stores, clock: Clock
) -> None:
    await clock.advance(10 * 365 * 24 * HOUR)  # keys expire by the real clock, which is earlier
    grant = KeyGrant("p", "m", "k")
    await stores.health.record_failure(grant, "server", [30.0])
    assert isinstance(await stores.health.admit("p", "m", ["k"], None, "a"), Cooldown)
    await clock.advance(-HOUR)
    assert await stores.health.find_cooldown("p", "m", ["k"]) is None
    probe = await stores.health.admit("p", "m", ["k"], None, "b")
    assert isinstance(probe, KeyGrant)
    assert probe.probe
    other = await stores.health.admit("p", "m", ["k"], None, "c")
    assert isinstance(other, Cooldown)
    assert other.probing
    await clock.advance(-HOUR)  # whoever probed is gone
    assert isinstance(await stores.health.admit("p", "m", ["k"], None, "d"), KeyGrant)


async def test_an_outcome_counts_on_the_day_of_acceptance(stores: Stores, clock: Clock) -> None:
    await stores.lanes.push(Push(SESSION, "1", {"body": "x"}), [Accept("1")])
    await clock.advance(HOUR)  # past midnight
    await stores.lanes.push(Push(SESSION, "2", {"body": "x"}), [Accept("2")])
    lease = await take(stores, SESSION)
    ends = [Finish("1", Outcome.ANSWERED), Finish("2", Outcome.STOPPED)]
    await stores.lanes.commit(SESSION, lease.token, 1, ["1", "2"], ends)
    assert await stores.lanes.counts() == {
        "2026-11-23": {"accepted": 1, "stopped": 1},
        "2026-11-22": {"accepted": 1, "answered": 1},
    }
    assert (await stores.lanes.verify(deep=True))["balanced"]


@pytest.mark.parametrize("step", [0.0, 25 * HOUR, -HOUR])
async def test_the_books_are_read_by_the_clock_that_wrote_them(
    stores: Stores, clock: Clock, step: float
) -> None:
    """That of this process differs from it by months."""
    await stores.lanes.push(Push(SESSION, "1", {"body": "x"}), [Accept("1")])
    await clock.advance(step)
    report = await stores.lanes.verify(deep=True)
    assert report["problems"] == []
    assert report["days"]["2026-11-22"]["in_lanes"] == 1
    assert (await stores.lanes.counts())["2026-11-22"] == {"accepted": 1}


async def test_usage_is_dated_by_the_server(stores: Stores, clock: Clock) -> None:
    await stores.lanes.push(Push(SESSION, "1", {"body": "x"}))
    lease = await take(stores, SESSION)
    usage = CountUsage("u", "w", {"turns": 1})
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], [usage])
    for scope, subject in (("user", "u"), ("workspace", "w")):
        assert await stores.budgets.read_usage(scope, subject, "2026-11-22") == {"turns": 1}


async def test_a_loud_group_is_heard_again_after_its_window_though_the_clock_stepped_back(
    stores: Stores, clock: Clock
) -> None:
    async def count(message: str) -> int:
        return await stores.groups.count_message("g", message, seconds=60)

    assert [await count("1"), await count("2"), await count("2")] == [1, 2, 2]
    await clock.advance(59)
    assert await count("3") == 3
    await clock.advance(1)
    assert await count("4") == 1
    await clock.advance(-HOUR)
    assert await count("5") == 1
