"""What a lane promises, on fakeredis and on a real Valkey: push, take, renew, commit."""

from __future__ import annotations

import asyncio

import pytest

from sigil.errors import EffectRejected, LaneFull, LeaseLost
from sigil.lanes.effects import Accept, Audit, Effect, Finish, Outcome, Push, Receipt, Stop
from sigil.lanes.lane import LaneKind, Lease, Refusal, Renewal, lane_kind
from sigil.stores import Stores
from sigil.testing import expire_leases
from tests.contracts.lane_bench import (
    CHAT,
    SESSION,
    TARGET,
    TTL,
    everything,
    fill,
    ids,
    prefix,
    redis,
    refused,
    take,
    today,
    waiting,
)

# ---------------------------------------------------------------- names


async def test_names_are_opaque_stable_and_distinct(stores: Stores) -> None:
    lanes = stores.lanes
    key = await lanes.key(LaneKind.SESSION, "telegram", "bob", "c")
    assert key == await lanes.key(LaneKind.SESSION, "telegram", "bob", "c")
    assert key.startswith("session:telegram:")
    assert lane_kind(key) is LaneKind.SESSION
    assert "bob" not in key
    other = await lanes.key(LaneKind.SESSION, "telegram", "bo", "bc")
    assert other != key
    assert await lanes.item_id("a", "bc") != await lanes.item_id("ab", "c")


# ---------------------------------------------------------------- push


async def test_only_the_push_that_begins_the_waiting_asks_for_a_wakeup(stores: Stores) -> None:
    first = await stores.lanes.push(Push(CHAT, "1", {"body": "x"}))
    second = await stores.lanes.push(Push(CHAT, "2", {"body": "x"}))
    assert (first.duplicate, first.wake) == (False, (CHAT,))
    assert (second.duplicate, second.wake) == (False, ())


async def test_a_second_push_of_an_id_changes_nothing(stores: Stores) -> None:
    await stores.lanes.push(Push(CHAT, "1", {"body": "first"}), [Accept("1")])
    before = await everything(stores)
    again = await stores.lanes.push(Push(CHAT, "1", {"body": "second"}), [Accept("1")])
    assert (again.duplicate, again.wake) == (True, (CHAT,))  # its wake-up may be lost
    after = await everything(stores)
    changed = {key for key in after if after[key] != before.get(key)}
    assert all(b"ledger" in key for key in changed)
    assert await today(stores) == {"accepted": 1, "duplicate": 1}


async def test_an_id_stays_pushed_after_it_is_finished(stores: Stores) -> None:
    await stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])
    lease = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Finish("1", Outcome.ANSWERED)])
    assert (await stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])).duplicate
    assert await refused(stores, CHAT) is Refusal.EMPTY


async def test_an_id_moves_through_the_stages_once_each(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    forward = Push(SESSION, "1", {"route": "r"})
    done = await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [forward, forward])
    assert done.wake == (SESSION,)
    assert await waiting(stores, SESSION) == ["1"]
    record = await stores.messages.get("1")
    assert record is not None
    assert (record["body"], record["route"]) == ("text of 1", "r")


async def test_a_push_beyond_the_cap_applies_nothing(stores: Stores) -> None:
    await stores.lanes.push(Push(SESSION, "1", {"body": "x"}, cap=1))
    before = await everything(stores)
    with pytest.raises(LaneFull) as full:
        await stores.lanes.push(Push(SESSION, "2", {"body": "x"}, cap=1), [Accept("2")])
    assert (full.value.lane, full.value.noticed) == (SESSION, None)
    assert await everything(stores) == before
    lease = await take(stores, SESSION)
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"])
    assert not (await stores.lanes.push(Push(SESSION, "2", {"body": "x"}, cap=1))).duplicate


async def test_a_push_to_a_held_lane_wakes_nobody_and_the_commit_does(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    assert (await stores.lanes.push(Push(CHAT, "2", {"body": "x"}))).wake == ()
    assert (await stores.lanes.commit(CHAT, lease.token, 1, ["1"])).wake == (CHAT,)
    assert ids(await take(stores, CHAT, "m")) == ["2"]


async def test_a_push_to_a_lane_that_was_emptied_in_hand_wakes_nobody(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"], keep=True)
    assert (await stores.lanes.push(Push(CHAT, "2", {"body": "x"}))).wake == ()
    assert (await stores.lanes.commit(CHAT, lease.token, 2, [])).wake == (CHAT,)


async def test_an_item_that_waits_does_not_expire(stores: Stores) -> None:
    """A record that has ended lives for its time only; pushed to another lane, it waits again."""
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Finish("1", Outcome.DEAD)])
    record = f"{prefix(stores)}item:1"
    assert await redis(stores).ttl(record) > 0
    await fill(stores, SESSION, "1")
    assert await redis(stores).ttl(record) == -1


# ---------------------------------------------------------------- take and renew


async def test_take_gives_the_head_in_order_with_its_records(stores: Stores) -> None:
    await fill(stores, CHAT, *"1234")
    lease = await take(stores, CHAT, limit=3)
    assert ids(lease) == ["1", "2", "3"]
    assert lease.items[1].fields["body"] == "text of 2"
    assert (lease.strikes, lease.stop, lease.journal) == (0, 0, ())


async def test_take_of_nothing_is_empty(stores: Stores) -> None:
    assert await refused(stores, CHAT) is Refusal.EMPTY


async def test_the_same_nonce_gets_its_lease_again_and_another_is_busy(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT, "mine")
    assert await take(stores, CHAT, "mine") == lease
    assert await refused(stores, CHAT) is Refusal.BUSY
    assert (await stores.lanes.status(CHAT)).leased


@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("by", ["commit", "park", "expiry"])
async def test_a_take_that_arrives_after_its_lease_has_ended_takes_nothing(
    stores: Stores, by: str, others: int
) -> None:
    """Nobody waits for the answer any more: the lane would be with nobody for a whole lease. It may
    be late by minutes; `others` have had the lane since."""
    await fill(stores, CHAT, *"12")
    lease = await take(stores, CHAT, "mine", limit=1)
    if by == "commit":
        await stores.lanes.commit(CHAT, lease.token, 1, ["1"])
    elif by == "park":
        await stores.lanes.park(CHAT, lease.token, delay=0)
    else:
        await expire_leases(stores)
    for number in range(others):
        lease = await take(stores, CHAT, f"other-{number}")
        await stores.lanes.park(CHAT, lease.token, delay=0)
    assert await stores.lanes.take(CHAT, "mine", ttl=TTL, limit=1) is Refusal.BUSY
    assert await take(stores, CHAT, "another")


async def test_of_many_takers_one_is_granted(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    taken = await asyncio.gather(
        *(stores.lanes.take(CHAT, f"n{i}", ttl=TTL, limit=1) for i in range(10))
    )
    assert sum(isinstance(lease, Lease) for lease in taken) == 1


async def test_tokens_rise_also_when_the_lane_lost_its_memory(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    tokens = []
    for nonce in "abc":
        lease = await take(stores, CHAT, nonce)
        tokens.append(lease.token)
        await stores.lanes.park(CHAT, lease.token, delay=0)
    await redis(stores).delete(f"{prefix(stores)}lane:{CHAT}")  # as after a failover
    tokens.append((await take(stores, CHAT, "d")).token)
    assert tokens == sorted(set(tokens))


async def test_a_token_is_written_without_exponent(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    assert lease.token > 10**15
    stored = await redis(stores).hgetall(f"{prefix(stores)}lane:{CHAT}")
    assert stored[b"token"] == str(lease.token).encode()
    assert all(value.isdigit() for name, value in stored.items() if name.endswith(b"until"))


async def test_renew_extends_the_lease_and_then_is_lost(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    await expire_leases(stores)
    await stores.lanes.renew(CHAT, lease.token, ttl=60)  # nobody has taken it meanwhile
    assert await refused(stores, CHAT) is Refusal.BUSY
    due = (await stores.lanes.sweep()).next_due
    assert due is not None
    assert 50 < due <= 60
    await expire_leases(stores)
    await take(stores, CHAT, "other")
    with pytest.raises(LeaseLost):
        await stores.lanes.renew(CHAT, lease.token, ttl=TTL)


async def test_renew_after_giving_back_is_lost(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    await stores.lanes.park(CHAT, lease.token, delay=0)
    with pytest.raises(LeaseLost):
        await stores.lanes.renew(CHAT, lease.token, ttl=TTL)


# ---------------------------------------------------------------- commit


async def test_a_commit_removes_the_head_and_gives_the_lane_back(stores: Stores) -> None:
    await fill(stores, CHAT, *"123")
    lease = await take(stores, CHAT)
    assert (await stores.lanes.commit(CHAT, lease.token, 1, ["1", "2"])).wake == (CHAT,)
    assert not (await stores.lanes.status(CHAT)).leased
    assert ids(await take(stores, CHAT, "m")) == ["3"]


async def test_a_commit_that_keeps_holds_on(stores: Stores) -> None:
    await fill(stores, CHAT, *"12")
    lease = await take(stores, CHAT)
    assert (await stores.lanes.commit(CHAT, lease.token, 1, ["1"], keep=True)).wake == ()
    assert await refused(stores, CHAT) is Refusal.BUSY
    await stores.lanes.commit(CHAT, lease.token, 2, ["2"])
    assert await refused(stores, CHAT) is Refusal.EMPTY


@pytest.mark.parametrize("done", [["2"], ["1", "3"], ["1", "2", "3", "4"], ["1", "1"], ["9"]])
async def test_only_the_head_can_be_done(stores: Stores, done: list[str]) -> None:
    await fill(stores, CHAT, *"123")
    lease = await take(stores, CHAT)
    before = await everything(stores)
    with pytest.raises(EffectRejected):
        await stores.lanes.commit(CHAT, lease.token, 1, done, [Accept("1")])
    assert await everything(stores) == before


async def test_a_repeated_commit_is_applied_once_and_answers_the_same(stores: Stores) -> None:
    await fill(stores, CHAT, *"12")
    lease = await take(stores, CHAT)
    unit: list[Effect] = [Push(SESSION, "1", {}), Audit("{}")]
    first = await stores.lanes.commit(CHAT, lease.token, 1, ["1"], unit)
    before = await everything(stores)
    again = await stores.lanes.commit(CHAT, lease.token, 1, ["1"], unit)
    assert again == first
    assert first.wake == (SESSION, CHAT)
    assert await everything(stores) == before


async def test_a_repeat_after_others_took_over_is_never_applied_again(stores: Stores) -> None:
    await fill(stores, CHAT, *"123")
    lease = await take(stores, CHAT)
    first = await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Audit("{}")])
    successor = await take(stores, CHAT, "other")
    assert await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Audit("{}")]) == first
    await stores.lanes.commit(CHAT, successor.token, 1, ["2"])
    with pytest.raises(LeaseLost):
        await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Audit("{}")])
    assert await waiting(stores, CHAT) == ["3"]
    assert len(await stores.audit.recent()) == 1


async def test_a_commit_that_arrives_after_a_later_one_is_never_applied_again(
    stores: Stores,
) -> None:
    """A connection that was given up may deliver what it holds when the network is back."""
    await fill(stores, TARGET, "1")
    lease = await take(stores, TARGET)
    states = "sending", "sent"
    for n, state in enumerate(states, 1):
        receipt = Receipt("1", 0, state)
        await stores.lanes.commit(TARGET, lease.token, n, [], [receipt, Audit(state)], keep=True)
    before = await everything(stores)
    late = [Receipt("1", 0, "sending"), Audit("sending")]
    with pytest.raises(EffectRejected):
        await stores.lanes.commit(TARGET, lease.token, 1, [], late, keep=True)
    assert await everything(stores) == before


async def test_a_commit_says_how_many_items_are_to_be_stopped(stores: Stores) -> None:
    await fill(stores, SESSION, *"123")
    lease = await take(stores, SESSION)
    await fill(stores, CHAT, "stop")
    command = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, command.token, 1, ["stop"], [Stop(SESSION)])
    answers = []
    for n, done in enumerate(([], ["1"], ["2"], ["3"]), 1):
        for _ in range(2):  # the first answer was lost
            answer = await stores.lanes.commit(SESSION, lease.token, n, done, keep=True)
            answers.append(answer.stop)
        assert await stores.lanes.renew(SESSION, lease.token, ttl=TTL) == Renewal(answer.stop, n)
    assert answers == [3, 3, 2, 2, 1, 1, 0, 0]


async def test_without_the_lease_nothing_is_written(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lost = await take(stores, CHAT)
    await expire_leases(stores)
    held = await take(stores, CHAT, "other")
    before = await everything(stores)
    for token in (lost.token, held.token + 1, 0):
        with pytest.raises(LeaseLost):
            await stores.lanes.commit(CHAT, token, 1, ["1"], [Audit("{}")], keep=True)
        with pytest.raises(LeaseLost):
            await stores.lanes.park(CHAT, token, delay=9)
    assert await everything(stores) == before


async def test_an_expired_lease_that_nobody_took_still_commits(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    await expire_leases(stores)
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"])
    assert await refused(stores, CHAT) is Refusal.EMPTY
