"""Lanes on a server whose clock steps, as after a failover or when it is set right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sigil.lanes.effects import Push, Wait
from sigil.lanes.lane import Lease, Refusal
from sigil.stores import Stores
from tests.budget_clock import Clock, script_text
from tests.contracts.lane_bench import CHAT, TTL, fill, prefix, redis, take

HOUR = 3600.0

# What may keep a lane from being taken, and what `take` says of it.
Rest = Callable[[Stores], Awaitable[object]]


async def lease(stores: Stores) -> None:
    await take(stores, CHAT, "killed")


async def renew(stores: Stores) -> None:
    leased = await take(stores, CHAT, "killed")
    await stores.lanes.renew(CHAT, leased.token, ttl=TTL)


async def park(stores: Stores) -> None:
    leased = await take(stores, CHAT, "parked")
    await stores.lanes.park(CHAT, leased.token, delay=60)


async def coalesce(stores: Stores) -> None:
    await stores.lanes.push(Push(CHAT, "2", {"body": "x"}, quiet=1.2, quiet_max=5))


RESTS: list[tuple[Rest, Refusal]] = [
    (lease, Refusal.BUSY),
    (renew, Refusal.BUSY),
    (park, Refusal.PARKED),
    (coalesce, Refusal.QUIET),
]


@pytest.fixture
async def clock(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    made = Clock(stores, "2026-03-01T12:00:00")
    await made.advance()
    return made


@pytest.mark.parametrize(("rest", "refusal"), RESTS, ids=lambda each: getattr(each, "__name__", ""))
async def test_what_was_said_before_the_clock_stepped_back_is_over(
    stores: Stores, clock: Clock, rest: Rest, refusal: Refusal
) -> None:
    await fill(stores, CHAT, "1")
    await rest(stores)
    assert await stores.lanes.take(CHAT, "now", ttl=TTL, limit=1) is refusal
    await clock.advance(-0.5)  # as two clocks differ
    assert await stores.lanes.take(CHAT, "now", ttl=TTL, limit=1) is refusal
    await clock.advance(-HOUR)
    assert isinstance(await stores.lanes.take(CHAT, "then", ttl=TTL, limit=1), Lease)


@pytest.mark.parametrize("rest", [each for each, _ in RESTS], ids=lambda each: each.__name__)
async def test_the_sweep_finds_what_the_clock_left_far_ahead(
    stores: Stores, clock: Clock, rest: Rest
) -> None:
    await fill(stores, CHAT, "1")
    await rest(stores)
    await clock.advance(-HOUR)
    found = (await stores.lanes.sweep()).wake
    if rest in (lease, renew):
        assert not found, "its holder may live"
        await clock.advance(TTL)
        found = (await stores.lanes.sweep()).wake
    assert found == (CHAT,)


async def test_a_wakeup_that_was_lost_before_the_clock_stepped_back_is_sent_again(
    stores: Stores, clock: Clock
) -> None:
    await fill(stores, CHAT, "1")
    await clock.advance(-HOUR)
    assert (await stores.lanes.sweep()).wake == (CHAT,)
    assert (await stores.lanes.sweep()).wake == (), "it is put off"


async def test_a_holder_that_lives_keeps_its_lane_when_the_clock_steps_back(
    stores: Stores, clock: Clock
) -> None:
    await fill(stores, CHAT, "1")
    held = await take(stores, CHAT)
    await clock.advance(-HOUR)
    assert (await stores.lanes.sweep()).wake == ()
    await stores.lanes.renew(CHAT, held.token, ttl=TTL)
    await clock.advance(TTL - 1)
    assert (await stores.lanes.sweep()).wake == ()
    assert await stores.lanes.take(CHAT, "other", ttl=TTL, limit=1) is Refusal.BUSY


async def test_a_message_after_the_clock_stepped_back_begins_a_silence_of_its_own(
    stores: Stores, clock: Clock
) -> None:
    await fill(stores, CHAT, "1")
    await coalesce(stores)
    await clock.advance(-HOUR)
    await stores.lanes.push(Push(CHAT, "3", {"body": "x"}, quiet=1.2, quiet_max=5))
    assert await stores.lanes.take(CHAT, "now", ttl=TTL, limit=9) is Refusal.QUIET
    await clock.advance(1.3)
    assert isinstance(await stores.lanes.take(CHAT, "then", ttl=TTL, limit=9), Lease)


async def test_a_lane_that_rests_for_long_is_left_alone(stores: Stores, clock: Clock) -> None:
    await fill(stores, CHAT, "1")
    leased = await take(stores, CHAT)
    await stores.lanes.park(CHAT, leased.token, delay=HOUR)
    before = await redis(stores).zrange(f"{prefix(stores)}lanes:due", 0, -1, withscores=True)
    for _ in range(3):
        await clock.advance(60)
        assert (await stores.lanes.sweep()).wake == ()
    assert (
        await redis(stores).zrange(f"{prefix(stores)}lanes:due", 0, -1, withscores=True) == before
    )


async def test_a_token_rises_also_when_the_clock_steps_back(stores: Stores, clock: Clock) -> None:
    """A token that fell would let a holder that was fenced off write again."""
    await fill(stores, CHAT, "1")
    tokens = []
    for number, step in enumerate((0, -HOUR, 1, -HOUR)):
        await clock.advance(step)
        leased = await take(stores, CHAT, f"n{number}")
        tokens.append(leased.token)
        await stores.lanes.park(CHAT, leased.token, delay=0)
    assert tokens == sorted(set(tokens))


async def test_a_wait_for_a_model_is_over_too(stores: Stores, clock: Clock) -> None:
    await fill(stores, CHAT, "1")
    leased = await take(stores, CHAT, "waits")
    await stores.lanes.commit(CHAT, leased.token, 1, [], [Wait(CHAT, 60)])
    await clock.advance(-HOUR)
    leased = await take(stores, CHAT, "again")
    await stores.lanes.commit(CHAT, leased.token, 1, ["1"], [])
    assert await redis(stores).zcard(f"{prefix(stores)}lanes:waiting") == 0
