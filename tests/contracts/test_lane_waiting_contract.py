"""Lanes that rest, are stopped, and are found again."""

from __future__ import annotations

import pytest

from sigil.errors import LaneFull
from sigil.lanes.effects import Audit, Journal, Notice, Push, Stop
from sigil.lanes.lane import LaneKind, Refusal
from sigil.stores import Stores
from sigil.testing import expire_leases, make_due
from tests.contracts.lane_bench import (
    CHAT,
    SESSION,
    TARGET,
    TTL,
    fill,
    ids,
    prefix,
    redis,
    refused,
    take,
)

# ---------------------------------------------------------------- park, strikes, quiet


async def test_parked_keeps_the_head_until_it_is_due(stores: Stores) -> None:
    await fill(stores, TARGET, *"12")
    lease = await take(stores, TARGET)
    assert await stores.lanes.park(TARGET, lease.token, delay=30) == ()
    assert await refused(stores, TARGET) is Refusal.PARKED
    swept = await stores.lanes.sweep()
    assert swept.wake == ()
    assert swept.next_due is not None
    assert 29 < swept.next_due <= 30
    await make_due(stores)
    assert (await stores.lanes.sweep()).wake == (TARGET,)
    assert ids(await take(stores, TARGET, "m")) == ["1", "2"]


async def test_parking_without_delay_wakes_at_once_and_counts_nothing(stores: Stores) -> None:
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    assert await stores.lanes.park(TARGET, lease.token, delay=0) == (TARGET,)
    assert (await take(stores, TARGET, "m")).strikes == 0


async def test_parking_twice_is_once(stores: Stores) -> None:
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    for _ in range(2):
        await stores.lanes.park(TARGET, lease.token, delay=0, strike=True)
    assert (await take(stores, TARGET, "m")).strikes == 1


async def test_a_lane_that_was_emptied_is_given_back_and_not_parked(stores: Stores) -> None:
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, ["1"], keep=True)
    assert await stores.lanes.park(TARGET, lease.token, delay=30) == ()
    assert (await stores.lanes.push(Push(TARGET, "2", {}))).wake == (TARGET,)
    assert ids(await take(stores, TARGET, "m")) == ["2"]


async def test_a_push_does_not_shorten_parking(stores: Stores) -> None:
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    await stores.lanes.park(TARGET, lease.token, delay=30)
    for quiet in (0.0, 1.0):
        pushed = await stores.lanes.push(
            Push(TARGET, f"q{quiet}", {}, quiet=quiet, quiet_max=quiet)
        )
        assert pushed.wake == ()
    assert await refused(stores, TARGET) is Refusal.PARKED


async def test_strikes_count_errors_until_the_head_moves(stores: Stores) -> None:
    await fill(stores, SESSION, *"12")
    lease = await take(stores, SESSION, "a")
    await stores.lanes.park(SESSION, lease.token, delay=0, strike=True)
    lease = await take(stores, SESSION, "b")
    assert lease.strikes == 1
    await stores.lanes.commit(SESSION, lease.token, 1, [], [Audit("{}")], keep=True)
    await stores.lanes.park(SESSION, lease.token, delay=5, strike=True)
    await make_due(stores)
    lease = await take(stores, SESSION, "c")
    assert lease.strikes == 2
    await stores.lanes.park(SESSION, lease.token, delay=0)
    lease = await take(stores, SESSION, "d")
    assert lease.strikes == 2
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"])
    assert (await take(stores, SESSION, "e")).strikes == 0


def quick(item_id: str, quiet: float = 1.2, most: float = 5.0) -> Push:
    return Push(SESSION, item_id, {"body": "x"}, quiet=quiet, quiet_max=most)


async def test_a_quiet_lane_rests_and_wakes_nobody(stores: Stores) -> None:
    assert (await stores.lanes.push(quick("1"))).wake == ()
    assert await refused(stores, SESSION) is Refusal.QUIET
    due = (await stores.lanes.sweep()).next_due
    assert due is not None
    assert 0 < due <= 1.2
    await make_due(stores)
    assert (await stores.lanes.sweep()).wake == (SESSION,)
    assert ids(await take(stores, SESSION)) == ["1"]


async def test_a_push_without_quiet_does_not_shorten_it(stores: Stores) -> None:
    await stores.lanes.push(quick("1", quiet=60, most=60))
    assert (await stores.lanes.push(Push(SESSION, "2", {}))).wake == ()
    assert (await stores.lanes.push(quick("3", quiet=0.001))).wake == ()
    assert await refused(stores, SESSION) is Refusal.QUIET
    due = (await stores.lanes.sweep()).next_due
    assert due is not None
    assert due > 50


async def test_quiet_ends_at_the_latest_after_its_longest(stores: Stores) -> None:
    for item_id in "123":
        await stores.lanes.push(quick(item_id, quiet=60, most=20))
    due = (await stores.lanes.sweep()).next_due
    assert due is not None
    assert due <= 20


async def test_quiet_asked_for_while_held_is_kept_after_the_commit(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    lease = await take(stores, SESSION)
    await stores.lanes.push(quick("2", quiet=60, most=60))
    assert (await stores.lanes.commit(SESSION, lease.token, 1, ["1"])).wake == ()
    assert await refused(stores, SESSION) is Refusal.QUIET


# ---------------------------------------------------------------- stop, journal, notice


async def test_a_stop_counts_what_waits_now(stores: Stores) -> None:
    await fill(stores, SESSION, *"123")
    await fill(stores, CHAT, "s")
    router = await take(stores, CHAT)
    done = await stores.lanes.commit(CHAT, router.token, 1, ["s"], [Stop(SESSION)])
    assert done.wake == (SESSION,)
    await fill(stores, SESSION, "4")
    lease = await take(stores, SESSION)
    assert lease.stop == 3
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], keep=True)
    assert (await stores.lanes.renew(SESSION, lease.token, ttl=TTL)).stop == 2
    await stores.lanes.commit(SESSION, lease.token, 2, ["2", "3"])
    assert (await take(stores, SESSION, "m")).stop == 0


async def test_a_stop_of_an_idle_lane_stops_nothing_later(stores: Stores) -> None:
    await fill(stores, CHAT, "s")
    router = await take(stores, CHAT)
    assert (await stores.lanes.commit(CHAT, router.token, 1, ["s"], [Stop(SESSION)])).wake == ()
    await fill(stores, SESSION, "1")
    assert (await take(stores, SESSION)).stop == 0


@pytest.mark.parametrize("rests", [Refusal.PARKED, Refusal.QUIET])
async def test_a_stop_ends_the_rest_of_a_lane(stores: Stores, rests: Refusal) -> None:
    await stores.lanes.push(quick("1", quiet=60, most=60))
    if rests is Refusal.PARKED:
        await make_due(stores)
        lease = await take(stores, SESSION)
        await stores.lanes.park(SESSION, lease.token, delay=60)
    assert await refused(stores, SESSION) is rests
    await fill(stores, CHAT, "s")
    router = await take(stores, CHAT)
    done = await stores.lanes.commit(CHAT, router.token, 1, ["s"], [Stop(SESSION)])
    assert done.wake == (SESSION,)
    assert (await take(stores, SESSION, "m")).stop == 1


async def test_the_journal_is_the_heads_and_goes_with_it(stores: Stores) -> None:
    await fill(stores, SESSION, *"12")
    lease = await take(stores, SESSION, "a")
    for n, entry in enumerate(("one", "two"), 1):
        await stores.lanes.commit(SESSION, lease.token, n, [], [Journal(SESSION, entry)], keep=True)
    await expire_leases(stores)
    lease = await take(stores, SESSION, "b")
    assert lease.journal == ("one", "two")
    await stores.lanes.park(SESSION, lease.token, delay=0)
    lease = await take(stores, SESSION, "c")
    assert lease.journal == ("one", "two")
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"])
    assert (await take(stores, SESSION, "d")).journal == ()


async def test_a_notice_lasts_until_the_lane_is_empty_or_five_minutes(stores: Stores) -> None:
    async def is_noticed() -> bool:
        with pytest.raises(LaneFull) as full:
            await stores.lanes.push(Push(SESSION, "one too many", {}, cap=2))
        assert full.value.noticed in {None, "a-chat"}
        return full.value.noticed is not None

    await fill(stores, SESSION, "1", "2")
    assert not await is_noticed()
    await fill(stores, CHAT, "r")
    router = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, router.token, 1, ["r"], [Notice(SESSION, "a-chat")])
    assert await is_noticed()
    lease = await take(stores, SESSION)
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"])
    await fill(stores, SESSION, "3")
    assert await is_noticed(), "a freed place ends no episode"
    lane, now = f"{prefix(stores)}lane:{SESSION}", 1000 * (await redis(stores).time())[0]
    for seconds, is_told in ((290, True), (301, False), (-3600, False)):
        await redis(stores).hset(lane, "noticed", f"{now - 1000 * seconds} a-chat")
        assert await is_noticed() is is_told
    await redis(stores).hset(lane, "noticed", f"{now} a-chat")
    lease = await take(stores, SESSION, "b")
    await stores.lanes.commit(SESSION, lease.token, 1, ["2", "3"])
    await fill(stores, SESSION, "4", "5")
    assert not await is_noticed()


# ---------------------------------------------------------------- sweep


async def test_sweep_puts_off_what_is_not_taken(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    offs = [(await stores.lanes.sweep()).next_due]  # the wake-up of the push may still come
    for _ in range(4):
        await make_due(stores)
        swept = await stores.lanes.sweep()
        assert swept.wake == (CHAT,)
        offs.append(swept.next_due)
    assert offs == [pytest.approx(off, abs=0.5) for off in (1.5, 1.5, 3, 6, 8)]
    lease = await take(stores, CHAT)
    await stores.lanes.park(CHAT, lease.token, delay=0)
    assert (await stores.lanes.sweep()).next_due == pytest.approx(1.5, abs=0.5)


async def test_sweep_finds_expired_leases_and_leaves_live_ones(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    await take(stores, CHAT)
    swept = await stores.lanes.sweep()
    assert swept.wake == ()
    assert swept.next_due == pytest.approx(TTL, abs=1)
    await expire_leases(stores)
    assert (await stores.lanes.sweep()).wake == (CHAT,)


async def test_sweep_forgets_what_is_empty(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"], keep=True)  # and then it crashed
    await expire_leases(stores)
    swept = await stores.lanes.sweep()
    assert (swept.wake, swept.next_due) == ((), None)
    assert not (await stores.lanes.status(CHAT)).leased


async def test_sweep_takes_a_few_at_a_time(stores: Stores) -> None:
    lanes = [f"inbound:memory:{i}" for i in range(5)]
    for number, lane in enumerate(lanes):
        await fill(stores, lane, f"i{number}")
    await make_due(stores)
    found: list[str] = []
    for expected in (2, 2, 1, 0):
        swept = await stores.lanes.sweep(2)
        assert len(swept.wake) == expected
        found += swept.wake
    assert sorted(found) == lanes


async def test_sweep_wakes_none_of_a_kind_without_room(stores: Stores) -> None:
    for lane in (CHAT, SESSION, TARGET):
        await fill(stores, lane, lane)
    await make_due(stores)
    swept = await stores.lanes.sweep(room={LaneKind.SESSION: 0, LaneKind.INBOUND: 9})
    assert set(swept.wake) == {CHAT, TARGET}
    assert swept.next_due is not None
    assert 0 < swept.next_due < 0.5  # it is looked at again soon
    await make_due(stores)
    await stores.lanes.sweep(room={LaneKind.INBOUND: 0, LaneKind.DELIVERY: 0})
    # That counted for nothing: it was put off as if it had been found for the first time.
    assert await redis(stores).hget(f"{prefix(stores)}lane:{SESSION}", "put_off") == b"1500"


async def test_a_thousand_lanes_without_room_hide_no_other(stores: Stores) -> None:
    crowd = [f"session:any:{number:03}" for number in range(1000)]
    index = f"{prefix(stores)}lanes:due"
    await fill(stores, CHAT, "1")
    await redis(stores).zadd(index, dict.fromkeys(crowd, 1) | {CHAT: 2})
    assert (await stores.lanes.sweep(room={LaneKind.SESSION: 0, LaneKind.INBOUND: 9})).wake == (
        CHAT,
    )
    found = await redis(stores).zrange(index, 0, -1, withscores=True)
    due = {lane.decode(): at for lane, at in found}
    waits = [due[lane] for lane in crowd]  # all were due at once, and stand in their order
    assert waits == [waits[0] + number for number in range(1000)]
    assert due[CHAT] - 1500 < waits[0] < due[CHAT]


async def test_sweep_wakes_as_many_of_a_kind_as_there_is_room_for(stores: Stores) -> None:
    for number in range(5):
        await fill(stores, f"session:any:{number}", f"s{number}")
    await fill(stores, CHAT, "1")
    await make_due(stores)
    swept = await stores.lanes.sweep(room={LaneKind.SESSION: 2})
    assert swept.wake == (CHAT, "session:any:0", "session:any:1")
