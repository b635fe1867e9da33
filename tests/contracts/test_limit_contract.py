"""How much one sender may write: what a push promises, on a server whose clock the tests set."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigil.lanes.effects import Accept, Finish, Limit, Outcome, Push
from sigil.lanes.lane import Lease, Pushed, Refusal
from sigil.stores import Stores, connect
from sigil.testing import fake_stores
from tests.budget_clock import Clock, script_text
from tests.contracts.lane_bench import CHAT, TTL, ids, prefix, redis

LIMIT = Limit("ann", per_minute=20, burst=3, most_waiting=2)
GROUP = Limit("ann", per_minute=20, burst=3, most_waiting=0)
EVERY = 3.0  # seconds, at 20 a minute


@pytest.fixture(autouse=True)
def _settable_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)


@pytest.fixture
async def clock(stores: Stores) -> Clock:
    return await start_clock(stores)


async def start_clock(stores: Stores) -> Clock:
    made = Clock(stores, "2026-03-01T12:00:00")
    await made.advance()
    return made


async def write(stores: Stores, *names: str, limit: Limit | None = LIMIT) -> list[Pushed]:
    return [
        await stores.lanes.push(Push(CHAT, name, {"body": "x"}, limit=limit), [Accept(name)])
        for name in names
    ]


async def route(stores: Stores) -> list[str] | Refusal:
    """Takes what is due and ends it."""
    nonce = f"n{await redis(stores).incr(f'{prefix(stores)}test-nonce')}"
    lease = await stores.lanes.take(CHAT, nonce, ttl=TTL, limit=10)
    if not isinstance(lease, Lease):
        return lease
    done = [Finish(item.id, Outcome.ANSWERED) for item in lease.items]
    await stores.lanes.commit(CHAT, lease.token, 1, ids(lease), done)
    return ids(lease)


async def books(stores: Stores) -> dict[str, int]:
    ledger = await redis(stores).hgetall(f"{prefix(stores)}ledger:2026-03-01")
    return {name.decode(): int(count) for name, count in ledger.items()}


async def test_what_is_over_the_rate_waits_in_order(stores: Stores, clock: Clock) -> None:
    pushed = await write(stores, *"12345")
    assert not any(each.refused for each in pushed)
    assert await route(stores) == ["1", "2", "3"]
    assert await route(stores) is Refusal.PARKED
    assert (await stores.lanes.sweep()).next_due == EVERY
    await clock.advance(EVERY)
    assert (await stores.lanes.sweep()).wake == (CHAT,)
    assert await route(stores) == ["4"]
    await clock.advance(EVERY)
    assert await route(stores) == ["5"]
    assert await books(stores) == {"accepted": 5, "answered": 5}


async def test_what_is_over_the_cap_is_refused_and_said_once(stores: Stores, clock: Clock) -> None:
    pushed = await write(stores, *"12345678")
    assert [each.refused for each in pushed] == [False] * 5 + [True] * 3
    assert [each.first_refused for each in pushed[5:]] == [True, False, False]
    assert await books(stores) == {"accepted": 8, "refused": 3}
    assert (await write(stores, "6"))[0].duplicate
    await clock.advance(EVERY)  # one more may wait, and the episode goes on
    pushed = await write(stores, "9", "a")
    assert [each.refused for each in pushed] == [False, True]
    assert not pushed[1].first_refused


async def test_an_episode_ends_when_nothing_waits(stores: Stores, clock: Clock) -> None:
    await write(stores, *"123456")
    await clock.advance(2 * EVERY)
    assert await route(stores) == ["1", "2", "3", "4", "5"]
    await clock.advance(EVERY)
    pushed = await write(stores, *"abcd")
    assert [each.first_refused for each in pushed] == [False, False, False, True]


async def test_where_nothing_may_wait_what_is_over_the_rate_is_refused(
    stores: Stores, clock: Clock
) -> None:
    pushed = await write(stores, *"12345", limit=GROUP)
    assert [each.first_refused for each in pushed] == [False, False, False, True, False]
    for name in "678":  # who goes on like that is not told again and again
        await clock.advance(EVERY)
        pushed = await write(stores, name, f"{name}+", limit=GROUP)
        assert [each.refused for each in pushed] == [False, True]
        assert not pushed[1].first_refused
    await clock.advance(3 * EVERY)
    assert (await write(stores, *"abcd", limit=GROUP))[3].first_refused


async def test_others_and_whoever_has_no_limit_are_not_held_up(
    stores: Stores, clock: Clock
) -> None:
    await write(stores, *"123", limit=GROUP)
    bob = Limit("bob", 20, 3, 0)
    assert not (await write(stores, "4", limit=bob))[0].refused
    assert not (await write(stores, "5", limit=None))[0].refused
    assert await route(stores) == ["1", "2", "3", "4", "5"]


async def test_a_clock_that_steps_back_silences_nobody(stores: Stores, clock: Clock) -> None:
    await write(stores, *"123456")
    await clock.advance(-3600)
    assert await route(stores) == ["1", "2", "3", "4", "5"]
    pushed = await write(stores, *"789")
    assert not any(each.refused for each in pushed)
    assert await route(stores) == ["7", "8", "9"]


async def test_who_has_written_is_forgotten_and_a_foreign_key_harms_nobody(
    stores: Stores, clock: Clock
) -> None:
    key = f"{prefix(stores)}limit:ann"
    await redis(stores).rpush(key, "somebody else's")
    assert not (await write(stores, "1"))[0].refused
    assert 0 < await redis(stores).pttl(key) <= 1000 * EVERY + 1000


async def test_a_lease_that_is_asked_for_again_is_granted_again(
    stores: Stores, clock: Clock
) -> None:
    await write(stores, *"1234")
    for _ in range(2):
        lease = await stores.lanes.take(CHAT, "the same", ttl=TTL, limit=10)
        assert isinstance(lease, Lease)
        assert ids(lease) == ["1", "2", "3"]


pauses = st.lists(st.integers(0, 9000), min_size=1, max_size=20)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pauses=pauses, burst=st.integers(1, 5), rate=st.integers(7, 60), most=st.integers(0, 4))
async def test_the_rate_holds_however_somebody_writes(
    pauses: list[int], burst: int, rate: int, most: int
) -> None:
    """In every span of time, at most the burst and the rate are read; what is accepted is read in
    its order, and as soon as the rate allows; no more than the cap ever waits."""
    stores = fake_stores()
    clock = await start_clock(stores)
    # The same as a bucket of tokens: a message takes one, also when there is none (then it waits),
    # and every interval brings one back.
    limit, interval, tokens = Limit("ann", rate, burst, most), 60 / rate, float(burst)
    due, accepted = list[float](), list[str]()
    for number, pause in enumerate(pauses):
        await clock.advance(pause / 1000)
        tokens = min(burst, tokens + pause / 1000 / interval)
        (pushed,) = await write(stores, str(number), limit=limit)
        if abs(tokens - 1 + most) > 0.001:  # within the rounding either is right
            assert pushed.refused == (tokens - 1 < -most)
        if not pushed.refused:
            tokens -= 1
            due.append(clock.now + max(0.0, -tokens) * interval)
            accepted.append(str(number))
    read: list[str] = []
    while len(read) < len(accepted):
        found = await route(stores)
        read += found if isinstance(found, list) else []
        await clock.advance(interval)
    assert read == accepted
    for i in range(len(due)):
        for k in range(i, len(due)):
            assert k - i + 1 <= burst + math.floor((due[k] - due[i]) / interval + 1e-6)


@pytest.mark.valkey
async def test_a_limit_costs_two_commands(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the clock of the other tests would be counted
    stores = connect(valkey_url, prefix="limit-cost:")
    try:
        await write(stores, "0")  # the script is loaded, and the ledger begun
        costs = [await count_commands(stores, "1", None), await count_commands(stores, "2", LIMIT)]
    finally:
        await stores.backend.close()
    assert costs[1] - costs[0] == 2


async def count_commands(stores: Stores, name: str, limit: Limit | None) -> int:
    """How many commands a push makes, those inside the script included."""
    await redis(stores).config_resetstat()
    await write(stores, name, limit=limit)
    ran = await redis(stores).info("commandstats")
    return sum(each["calls"] for each in ran.values())
