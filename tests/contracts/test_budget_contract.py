"""What every implementation of budgets in dollars must do; run on each by `stores`."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest

from sigil.errors import EffectRejected, StoreError
from sigil.money.store import MOST_MICRO_USD, Limit, NoRoom
from tests.budget_clock import Clock, script_text

DAY = 24 * 3600
FOUR = [
    Limit("session", "s", 500, None),
    Limit("user", "u", None, 1000),
    Limit("workspace", "w", 2000, 2000),
    Limit("all", "", 3000, 3000),
]


@pytest.fixture
async def clock(stores, monkeypatch) -> Clock:
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    made = Clock(stores, "2026-11-22T23:10:00")
    await made.advance()
    return made


async def money(stores, *limits: Limit) -> list[tuple[int, int]]:
    """(spent, reserved) of the hour and the day of each scope."""
    found = await stores.budgets.read_spending(limits)
    return [(window.spent, window.reserved) for window in found]


async def keys(stores) -> set[str]:
    """All keys of budgets, without their prefix; none is without one."""
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    found = {key.decode() async for key in redis.scan_iter(match="*budget*")}
    assert not [key for key in found if key.startswith("budget")]
    return {key.removeprefix(prefix) for key in found if key.startswith(prefix)}


# ---------------------------------------------------------------- reserve


async def test_a_reservation_holds_in_every_scope_and_window(stores, clock):
    assert await stores.budgets.reserve("1", FOUR, 100, 10, ttl=60) == 100
    assert await money(stores, *FOUR) == [(0, 100)] * 8
    await stores.budgets.settle("1", 30)
    assert await money(stores, *FOUR) == [(30, 0)] * 8


async def test_as_much_is_granted_as_the_smallest_room_allows(stores, clock):
    assert await stores.budgets.reserve("1", FOUR, 5000, 10, ttl=60) == 500
    assert await money(stores, *FOUR) == [(0, 500)] * 8
    other = [Limit("session", "t", 500, None), *FOUR[1:]]
    assert await stores.budgets.reserve("2", other, 5000, 500, ttl=60) == 500
    third = [Limit("session", "v"), *FOUR[1:]]
    refused = await stores.budgets.reserve("3", third, 5000, 1, ttl=60)
    assert refused == NoRoom("user", "u", "day", 1000, 0, 50 * 60, 0)


async def test_what_is_refused_sets_nothing_aside_and_names_a_window_without_room(stores, clock):
    assert await stores.budgets.reserve("1", FOUR, 450, 450, ttl=60) == 450
    before, known = await money(stores, *FOUR), await keys(stores)
    refused = await stores.budgets.reserve("2", FOUR, 600, 51, ttl=60)
    assert refused == NoRoom("session", "s", "hour", 500, 50, 50 * 60, 0)
    assert await money(stores, *FOUR) == before
    assert await keys(stores) == known
    assert await stores.budgets.reserve("3", FOUR, 600, 50, ttl=60) == 50


async def test_of_windows_without_room_the_one_that_has_room_again_last_is_named(stores, clock):
    await clock.advance(-3 * 3600)  # 20:10
    hour, day, later = 50 * 60, 3 * 3600 + 50 * 60, {"ttl": 60}

    async def said(*limits: Limit) -> NoRoom | int:
        return await stores.budgets.reserve("no", limits, 50, 50, **later)

    spender = [Limit("session", "s"), Limit("user", "u"), Limit("all")]
    await stores.budgets.reserve("1", spender, 100, 100, ttl=60)
    await stores.budgets.settle("1", 100)
    await stores.budgets.reserve("2", spender, 30, 30, ttl=60)
    both = Limit("user", "u", 100, 110)
    assert await said(both) == NoRoom("user", "u", "day", 110, 0, day, 100)
    assert await said(Limit("session", "s", 100, None), both, Limit("all", "", 120, 120)) == (
        NoRoom("user", "u", "day", 110, 0, day, 100)
    )
    # What is only reserved will mostly be given back.
    waits = Limit("session", "s", None, 150)
    assert await said(waits) == NoRoom("session", "s", "day", 150, 20, day, 100)
    spent = Limit("user", "u", 100, None)
    assert await said(waits, spent) == NoRoom("user", "u", "hour", 100, 0, hour, 100)
    # What never fits is worse than any wait.
    assert await said(both, Limit("all", "", 49, None)) == NoRoom(
        "all", "", "hour", 49, 0, hour, 100
    )


async def test_the_last_scope_counts_as_much_as_the_first(stores, clock):
    for number in range(3):
        limits = [Limit("session", str(number)), Limit("all", "", 3000, 2000)]
        answer = await stores.budgets.reserve(str(number), limits, 1000, 1000, ttl=60)
        assert answer == (1000 if number < 2 else NoRoom("all", "", "day", 2000, 0, 50 * 60, 0))
    assert await money(stores, Limit("session", "2")) == [(0, 0)] * 2


async def test_a_limit_of_nothing_allows_nothing(stores, clock):
    refused = await stores.budgets.reserve("1", [Limit("all", "", 0, None)], 1, 1, ttl=60)
    assert refused == NoRoom("all", "", "hour", 0, 0, 50 * 60, 0)


async def test_without_limits_money_is_counted(stores, clock):
    free = [Limit("user", "u"), Limit("all")]
    for number in range(2):
        assert await stores.budgets.reserve(str(number), free, 10**9, 1, ttl=60) == 10**9
    await stores.budgets.settle("0", 10**9)
    assert await money(stores, *free) == [(10**9, 10**9)] * 4
    await stores.budgets.reserve("3", [], 5, 5, ttl=60)
    await stores.budgets.settle("3", 5)
    assert await money(stores) == []


async def test_what_was_overspent_leaves_no_room_and_no_debt_is_shown(stores, clock):
    limits = [Limit("all", "", 100, None)]
    assert await stores.budgets.reserve("1", limits, 80, 80, ttl=60) == 80
    await stores.budgets.settle("1", 170)
    assert await money(stores, *limits) == [(170, 0)] * 2
    refused = await stores.budgets.reserve("2", limits, 1, 1, ttl=60)
    assert refused == NoRoom("all", "", "hour", 100, 0, 50 * 60, 170)


async def test_reservations_at_the_same_time_never_exceed_the_limit(stores, clock):
    limits = [Limit("user", "u", 1000, None), Limit("all", "", 1000, None)]
    answers = await asyncio.gather(
        *(stores.budgets.reserve(str(n), limits, 100, 100, ttl=60) for n in range(64))
    )
    assert sum(1 for answer in answers if answer == 100) == 10
    assert await money(stores, *limits) == [(0, 1000)] * 4


# ---------------------------------------------------------------- a reply that was lost


async def test_the_same_id_gets_the_same_answer_whatever_has_happened_since(stores, clock):
    assert await stores.budgets.reserve("1", FOUR, 400, 10, ttl=60) == 400
    assert await stores.budgets.reserve("1", FOUR, 400, 10, ttl=60) == 400
    assert await money(stores, *FOUR) == [(0, 400)] * 8
    await stores.budgets.settle("1", 30)
    assert await stores.budgets.reserve("1", FOUR, 400, 10, ttl=60) == 400
    assert await money(stores, *FOUR) == [(30, 0)] * 8
    await stores.budgets.reserve("2", FOUR, 100, 10, ttl=60)
    await clock.advance(61)
    assert await stores.budgets.expire_holds() == 1
    assert await stores.budgets.reserve("2", FOUR, 100, 10, ttl=60) == 100
    assert await money(stores, *FOUR) == [(130, 0)] * 8


async def test_settling_again_changes_nothing(stores, clock):
    await stores.budgets.reserve("1", FOUR, 400, 10, ttl=60)
    for spent in (30, 30, 400):
        await stores.budgets.settle("1", spent)
    assert await money(stores, *FOUR) == [(30, 0)] * 8
    await stores.budgets.settle("never made", 5)
    assert await money(stores, *FOUR) == [(30, 0)] * 8


async def test_what_arrives_after_its_undo_is_not_held(stores, clock):
    """The caller gave up, and undid what may have been made; its first call comes late."""
    await stores.budgets.settle("late", 0)
    await stores.budgets.reserve("late", FOUR, 400, 10, ttl=60)
    assert await money(stores, *FOUR) == [(0, 0)] * 8
    assert await stores.budgets.reserve("next", FOUR, 500, 500, ttl=60) == 500
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    assert 0 < await redis.ttl(f"{prefix}budget-hold:late") <= 3600


@pytest.mark.parametrize("broken", [("set", "x"), ("hset", "reserved", "x")])
async def test_a_window_that_cannot_count_holds_up_no_other(stores, clock, broken):
    command, *args = broken
    for number in "12":
        await stores.budgets.reserve(number, [Limit(number), Limit("all")], 10, 10, ttl=60)
    window = f"{stores.backend.keys.prefix}budget:1::hour:2026-11-22T23"
    assert await stores.backend.redis.delete(window)
    await getattr(stores.backend.redis, command)(window, *args)
    with pytest.raises(EffectRejected):
        await stores.budgets.reserve("3", [Limit("1"), Limit("all")], 10, 10, ttl=60)
    await stores.budgets.settle("1", 4)
    await clock.advance(60)
    assert await stores.budgets.expire_holds() == 1
    assert await money(stores, Limit("2"), Limit("all")) == [(10, 0)] * 2 + [(14, 0)] * 2


async def test_settling_after_expiry_changes_nothing(stores, clock):
    await stores.budgets.reserve("1", FOUR, 400, 10, ttl=60)
    await clock.advance(60)
    assert await stores.budgets.expire_holds() == 1
    await stores.budgets.settle("1", 1)
    assert await stores.budgets.expire_holds() == 0
    assert await money(stores, *FOUR) == [(400, 0)] * 8


# ---------------------------------------------------------------- expiry


async def test_a_reservation_expires_at_its_time_and_not_before(stores, clock):
    await stores.budgets.reserve("1", FOUR, 400, 10, ttl=60)
    await clock.advance(59.999)
    assert await stores.budgets.expire_holds() == 0
    await clock.advance(0.001)
    assert await stores.budgets.expire_holds() == 1
    assert await money(stores, *FOUR) == [(400, 0)] * 8


async def test_the_next_reservation_expires_a_bounded_number(stores, clock):
    free = [Limit("all")]
    for number in range(25):
        await stores.budgets.reserve(str(number), free, 10, 10, ttl=60)
    await clock.advance(61)
    await stores.budgets.reserve("next", free, 1, 1, ttl=60)
    assert await money(stores, *free) == [(200, 51)] * 2
    assert await stores.budgets.expire_holds(3) == 3
    assert await stores.budgets.expire_holds() == 2
    assert await money(stores, *free) == [(250, 1)] * 2


async def test_also_a_refusal_expires_what_is_over(stores, clock):
    limits = [Limit("all", "", 10, None)]
    await stores.budgets.reserve("1", limits, 10, 10, ttl=60)
    await clock.advance(61)
    assert isinstance(await stores.budgets.reserve("2", limits, 1, 1, ttl=60), NoRoom)
    assert await money(stores, *limits) == [(10, 0)] * 2


# ---------------------------------------------------------------- windows


async def test_a_reservation_is_settled_in_the_windows_it_was_made_in(stores, clock):
    limits = [Limit("all", "", 100, 100)]
    await stores.budgets.reserve("1", limits, 100, 100, ttl=DAY)
    await clock.advance(50 * 60 - 0.001)
    assert isinstance(await stores.budgets.reserve("2", limits, 1, 1, ttl=60), NoRoom)
    await clock.advance(0.001)  # midnight: another hour and another day
    assert await money(stores, *limits) == [(0, 0)] * 2
    assert await stores.budgets.reserve("3", limits, 100, 100, ttl=60) == 100
    await stores.budgets.settle("1", 40)
    assert await money(stores, *limits) == [(0, 100)] * 2
    await clock.advance(-1)
    assert await money(stores, *limits) == [(40, 0)] * 2


async def test_the_next_hour_is_the_same_day(stores, clock):
    await clock.advance(-3600)
    limits = [Limit("all", "", 100, 150)]
    await stores.budgets.reserve("1", limits, 100, 100, ttl=60)
    await clock.advance(3000)
    assert await stores.budgets.reserve("2", limits, 100, 1, ttl=60) == 50
    refused = await stores.budgets.reserve("3", limits, 100, 1, ttl=60)
    assert refused == NoRoom("all", "", "day", 150, 0, 3600, 100)
    assert [window.resets_in for window in await stores.budgets.read_spending(limits)] == [
        3600,
        3600,
    ]


async def test_windows_are_named_by_their_time_and_go_when_they_are_long_over(stores, clock):
    await stores.budgets.reserve("1", [Limit("user", "a:b c")], 5, 5, ttl=60)
    assert await keys(stores) == {
        "budget:user:a%3Ab%20c:hour:2026-11-22T23",
        "budget:user:a%3Ab%20c:day:2026-11-22",
        "budget-subjects:user:2026-11-22",
        "budget-hold:1",
        "budget-holds",
    }
    await stores.budgets.settle("1", 5)
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    left = {key: await redis.ttl(prefix + key) for key in await keys(stores)}
    assert 3590 <= left.pop("budget-hold:1") <= 3600
    assert len(left) == 3
    assert all(2 * DAY + 2990 <= ttl <= 2 * DAY + 3000 for ttl in left.values())


async def test_a_window_that_is_gone_does_not_come_back_for_ever(stores, clock):
    await stores.budgets.reserve("1", [Limit("all")], 5, 5, ttl=60)
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    await redis.delete(f"{prefix}budget:all::hour:2026-11-22T23")
    await stores.budgets.settle("1", 5)
    assert await money(stores, Limit("all")) == [(0, 0), (5, 0)]
    assert "budget:all::hour:2026-11-22T23" not in await keys(stores)


async def test_windows_are_those_of_the_servers_clock(stores):
    def stamps(time: tuple[int, int]) -> set[str]:
        now = datetime.fromtimestamp(time[0], UTC)
        return {f"{now:%Y-%m-%dT%H}", f"{now:%Y-%m-%d}"}

    before = stamps(await stores.backend.redis.time())
    await stores.budgets.reserve("1", [Limit("all")], 5, 5, ttl=60)
    after = stamps(await stores.backend.redis.time())
    found = {match[1] for key in await keys(stores) if (match := re.search(r"::\w+:(.*)", key))}
    assert found in (before, after)
    hour, day = await stores.budgets.read_spending([Limit("all")])
    assert 0 < hour.resets_in <= 3600
    assert hour.resets_in <= day.resets_in <= DAY


# ---------------------------------------------------------------- subjects and bounds


async def test_subjects_are_those_of_today_the_latest_first(stores, clock):
    for number, subject in enumerate(("a", "b:ü", "c\udc80", "a")):
        await stores.budgets.reserve(str(number), [Limit("user", subject)], 1, 1, ttl=60)
        await clock.advance(1)
    assert await stores.budgets.list_subjects("user") == ["a", "c\udc80", "b:ü"]
    assert await stores.budgets.list_subjects("user", 2) == ["a", "c\udc80"]
    assert await stores.budgets.list_subjects("workspace") == []
    await clock.advance(DAY)
    assert await stores.budgets.list_subjects("user") == []


async def test_subjects_that_look_alike_are_apart(stores, clock):
    subjects = ["a", "A", "a:b", "a%3Ab", "a b", "a\x00b", "a:hour:2026-11-22T23", "*", "é"]
    for number, subject in enumerate(subjects, 1):
        await stores.budgets.reserve(str(number), [Limit("user", subject)], number, 1, ttl=60)
    found = await money(stores, *(Limit("user", subject) for subject in subjects))
    assert found[::2] == [(0, number) for number in range(1, len(subjects) + 1)]
    assert await money(stores, Limit("session", "a")) == [(0, 0)] * 2


async def test_amounts_out_of_bounds_are_refused_before_anything_is_written(stores, clock):
    good = [Limit("all")]
    for limits, want, least in (
        (good, 0, 0),
        (good, 10, 0),
        (good, 10, 11),
        (good, MOST_MICRO_USD + 1, 1),
        (good, 10, -1),
        ([Limit("all", "", -1, None)], 10, 1),
        ([Limit("all", "", None, MOST_MICRO_USD + 1)], 10, 1),
        ([*good, Limit("user", "u"), *good], 10, 1),
    ):
        with pytest.raises(EffectRejected):
            await stores.budgets.reserve("1", limits, want, least, ttl=60)
    assert await keys(stores) == set()
    assert await stores.budgets.reserve("1", good, MOST_MICRO_USD, 1, ttl=60) == MOST_MICRO_USD
    for spent in (-1, MOST_MICRO_USD + 1):
        with pytest.raises(EffectRejected):
            await stores.budgets.settle("1", spent)
    assert await money(stores, *good) == [(0, MOST_MICRO_USD)] * 2


async def test_large_amounts_are_exact(stores, clock):
    free, odd = [Limit("all")], MOST_MICRO_USD - 1
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    for number in range(2):
        assert await stores.budgets.reserve(str(number), free, odd, odd, ttl=60) == odd
        await stores.budgets.settle(str(number), odd)
        if number == 0:  # as if another 998 had been settled
            for window in ("hour:2026-11-22T23", "day:2026-11-22"):
                await redis.hincrby(f"{prefix}budget:all::{window}", "spent", 998 * odd)
    assert await money(stores, *free) == [(1000 * odd, 0)] * 2
    most = MOST_MICRO_USD
    refused = await stores.budgets.reserve("x", [Limit("all", "", most, most)], 1, 1, ttl=60)
    assert refused == NoRoom("all", "", "hour", most, 0, 50 * 60, 1000 * odd)


@pytest.mark.parametrize(
    "broken", ["budget:all::day:2026-11-22", "budget-holds", "budget-subjects:user:2026-11-22"]
)
async def test_a_key_of_another_kind_is_an_error_before_the_first_write(stores, clock, broken):
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    await redis.set(prefix + broken, "x")
    with pytest.raises(StoreError):
        await stores.budgets.reserve("1", [Limit("user", "u"), Limit("all")], 5, 5, ttl=60)
    assert await keys(stores) == {broken}
