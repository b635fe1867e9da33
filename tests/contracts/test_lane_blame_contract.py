"""Blame: what follows when leases are lost, and whose head is a strike."""

from __future__ import annotations

import pytest

from sigil.lanes.lane import Lease, Refusal
from sigil.stores import Stores
from sigil.testing import expire_leases
from tests.contracts.lane_bench import SESSION, TTL, fill, ids, prefix, redis, take


async def lose(stores: Stores, times: int, *, first: int = 0) -> None:
    """As many workers die while they hold the lane."""
    for number in range(first, first + times):
        await take(stores, SESSION, f"died-{number}")
        await expire_leases(stores)


async def take_beside_another(stores: Stores, nonce: str = "n") -> Lease | Refusal:
    """By a process that has a suspect lane in hand."""
    return await stores.lanes.take(SESSION, nonce, ttl=TTL, limit=10, suspect=False)


@pytest.mark.parametrize(
    ("losses", "suspect", "strikes"), [(0, False, 0), (1, False, 0), (2, True, 0), (3, True, 1)]
)
async def test_losses_make_a_lane_suspect_and_only_one_held_alone_is_a_strike(
    stores: Stores, losses: int, suspect: bool, strikes: int
) -> None:
    await fill(stores, SESSION, "1")
    await lose(stores, losses)
    lease = await take(stores, SESSION)
    assert (lease.suspect, lease.strikes) == (suspect, strikes)
    assert await take(stores, SESSION) == lease, "the first answer was lost"


@pytest.mark.parametrize("losses", [0, 1, 2, 3])
async def test_a_suspect_lane_is_refused_to_who_has_another_one(
    stores: Stores, losses: int
) -> None:
    await fill(stores, SESSION, "1")
    await lose(stores, losses)
    before = await redis(stores).hgetall(f"{prefix(stores)}lane:{SESSION}")
    taken = await take_beside_another(stores)
    if losses < 2:
        assert isinstance(taken, Lease)
        return
    assert taken is Refusal.SUSPECT
    assert await redis(stores).hgetall(f"{prefix(stores)}lane:{SESSION}") == before
    lease = await take(stores, SESSION)  # the same attempt, now that it has room
    assert (lease.suspect, lease.strikes) == (True, losses - 2)


async def test_a_lane_that_is_given_back_has_lost_nothing(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    for number in range(5):
        lease = await take(stores, SESSION, f"n{number}")
        await stores.lanes.park(SESSION, lease.token, delay=0)
    lease = await take(stores, SESSION, "last")
    assert (lease.suspect, lease.strikes) == (False, 0)


async def test_a_suspect_lane_that_is_given_back_stays_suspect_without_a_strike(
    stores: Stores,
) -> None:
    await fill(stores, SESSION, "1")
    await lose(stores, 2)
    for number in range(3):
        lease = await take(stores, SESSION, f"n{number}")
        assert (lease.suspect, lease.strikes) == (True, 0)
        await stores.lanes.park(SESSION, lease.token, delay=0)


@pytest.mark.parametrize("keep", [False, True])
async def test_losses_and_strikes_end_with_the_head(stores: Stores, keep: bool) -> None:
    await fill(stores, SESSION, *"12")
    await lose(stores, 4)
    lease = await take(stores, SESSION)
    assert (lease.suspect, lease.strikes) == (True, 2)
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], keep=keep)
    await expire_leases(stores)
    lease = await take(stores, SESSION, "next")
    assert (ids(lease), lease.suspect, lease.strikes) == (["2"], False, 0)


async def test_a_commit_that_moves_no_head_leaves_the_lane_suspect(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    await lose(stores, 2)
    lease = await take(stores, SESSION)
    await stores.lanes.commit(SESSION, lease.token, 1, [])
    assert await take_beside_another(stores, "next") is Refusal.SUSPECT


async def test_a_lane_that_an_older_version_held_meanwhile_gets_no_strike(stores: Stores) -> None:
    """It does not note how it held the lane."""
    await fill(stores, SESSION, "1")
    await lose(stores, 2)
    lease = await take(stores, SESSION)
    key = f"{prefix(stores)}lane:{SESSION}"
    await redis(stores).hset(key, "token", str(lease.token + 1))
    await expire_leases(stores)
    assert (await take(stores, SESSION, "next")).strikes == 0
