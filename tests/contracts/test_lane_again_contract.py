"""`again`: who takes a lane learns whether its head was in somebody's hands before."""

from __future__ import annotations

import pytest

from sigil.lanes.effects import Push, Receipt
from sigil.stores import Stores
from sigil.testing import expire_leases
from tests.contracts.lane_bench import CHAT, TARGET, fill, ids, prefix, redis, take


async def crash_with(stores: Stores, lane: str, nonce: str = "crashed") -> None:
    await take(stores, lane, nonce)
    await expire_leases(stores)


async def test_a_head_that_nobody_had_is_fresh(stores: Stores) -> None:
    await fill(stores, TARGET, "1")
    assert not (await take(stores, TARGET)).again


async def test_a_head_whose_holder_fell_silent_comes_again(stores: Stores) -> None:
    await fill(stores, TARGET, "1")
    for nonce in "ab":
        await crash_with(stores, TARGET, nonce)
        assert (await take(stores, TARGET, nonce + " found")).again
        await expire_leases(stores)


@pytest.mark.parametrize("crashes", [0, 1])
async def test_the_same_nonce_is_told_the_same(stores: Stores, crashes: int) -> None:
    await fill(stores, TARGET, "1")
    for _ in range(crashes):
        await crash_with(stores, TARGET)
    first = await take(stores, TARGET, "mine")
    assert first.again == bool(crashes)
    assert await take(stores, TARGET, "mine") == first


@pytest.mark.parametrize("begun", [False, True])
async def test_who_gives_a_head_back_says_whether_it_was_begun(stores: Stores, begun: bool) -> None:
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    for _ in range(2):  # the first answer was lost
        await stores.lanes.park(TARGET, lease.token, delay=0, begun=begun)
    assert (await take(stores, TARGET, "next")).again is begun


async def test_the_next_head_is_in_hand_where_the_lease_is_kept(stores: Stores) -> None:
    await fill(stores, TARGET, *"12")
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, ["1"], keep=True)
    await expire_leases(stores)
    lease = await take(stores, TARGET, "next")
    assert (ids(lease), lease.again) == (["2"], True)


async def test_the_next_head_is_fresh_where_the_lease_ends(stores: Stores) -> None:
    await fill(stores, TARGET, *"12")
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, ["1"])
    assert not (await take(stores, TARGET, "next")).again


async def test_a_head_that_comes_again_is_told_so_until_it_moves(stores: Stores) -> None:
    await fill(stores, TARGET, *"12")
    await crash_with(stores, TARGET)
    lease = await take(stores, TARGET, "a")
    await stores.lanes.commit(TARGET, lease.token, 1, [], [Receipt("1", 0, "{}")], keep=True)
    await expire_leases(stores)
    lease = await take(stores, TARGET, "b")
    assert lease.again
    await stores.lanes.commit(TARGET, lease.token, 1, ["1"])
    assert not (await take(stores, TARGET, "c")).again


async def test_an_item_that_comes_after_the_lane_was_emptied_in_hand_is_fresh(
    stores: Stores,
) -> None:
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, ["1"], [Push(TARGET, "2", {})], keep=True)
    await expire_leases(stores)
    lease = await take(stores, TARGET, "next")
    assert (ids(lease), lease.again) == (["2"], False)


async def test_what_an_older_version_left_of_an_earlier_head_does_not_count(
    stores: Stores,
) -> None:
    """It neither writes nor clears the mark: here it has finished 1, which this version took."""
    await fill(stores, CHAT, *"12")
    await crash_with(stores, CHAT)
    await redis(stores).ltrim(f"{prefix(stores)}lane:{CHAT}:ids", 1, -1)
    lease = await take(stores, CHAT, "next")
    assert (ids(lease), lease.again) == (["2"], False)
