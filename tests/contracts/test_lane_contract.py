"""What a lane promises, on fakeredis and on a real Valkey."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sigil.errors import EffectRejected, LaneFull, LeaseLost
from sigil.lanes import (
    Accept,
    AppendHistory,
    Audit,
    CountUsage,
    DeadLetter,
    Delivered,
    Effect,
    Finish,
    Journal,
    Lease,
    Notice,
    Outcome,
    Push,
    Receipt,
    Refusal,
    Remember,
    Show,
    Stage,
    Stop,
    UpdateSession,
    stage_of,
)
from sigil.stores import Stores
from sigil.testing import expire_leases, make_due

CHAT, SESSION, TARGET = "inbound:memory:a", "session:any:b", "delivery:memory:c"
TTL = 15.0


async def fill(stores: Stores, lane: str, *ids: str) -> None:
    for item_id in ids:
        await stores.lanes.push(Push(lane, item_id, {"body": f"text of {item_id}"}))


async def take(stores: Stores, lane: str, nonce: str = "n", limit: int = 10) -> Lease:
    lease = await stores.lanes.take(lane, nonce, ttl=TTL, limit=limit)
    assert isinstance(lease, Lease), lease
    return lease


async def refused(stores: Stores, lane: str) -> Refusal | Lease:
    return await stores.lanes.take(lane, "another", ttl=TTL, limit=10)


async def waiting(stores: Stores, lane: str) -> list[str]:
    found = await redis(stores).lrange(f"{prefix(stores)}lane:{lane}:ids", 0, -1)
    return [item_id.decode() for item_id in found]


def redis(stores: Stores) -> Any:
    return stores.backend.redis  # type: ignore[attr-defined]  # what only a look inside can show


def prefix(stores: Stores) -> str:
    return str(stores.backend.keys.prefix)  # type: ignore[attr-defined]


def ids(lease: Lease) -> list[str]:
    return [item.id for item in lease.items]


async def today(stores: Stores) -> dict[str, int]:
    counts = await stores.lanes.counts()
    return dict(counts.get(datetime.now(UTC).strftime("%Y-%m-%d"), {}))


async def everything(stores: Stores) -> dict[bytes, Any]:
    """All that is stored, to show that nothing was changed."""
    found: dict[bytes, Any] = {}
    client = redis(stores)
    async for key in client.scan_iter(match=prefix(stores) + "*"):
        kind = (await client.type(key)).decode()
        if kind == "hash":
            found[key] = await client.hgetall(key)
        elif kind == "list":
            found[key] = await client.lrange(key, 0, -1)
        elif kind == "zset":
            found[key] = await client.zrange(key, 0, -1, withscores=True)
        elif kind == "stream":
            found[key] = await client.xrange(key)
        else:
            found[key] = await client.get(key)
    return found


# ---------------------------------------------------------------- names


async def test_names_are_opaque_stable_and_distinct(stores: Stores) -> None:
    lanes = stores.lanes
    key = await lanes.key(Stage.SESSION, "telegram", "bob", "c")
    assert key == await lanes.key(Stage.SESSION, "telegram", "bob", "c")
    assert key.startswith("session:telegram:")
    assert stage_of(key) is Stage.SESSION
    assert "bob" not in key
    other = await lanes.key(Stage.SESSION, "telegram", "bo", "bc")
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
    assert (again.duplicate, again.wake) == (True, ())
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
    assert (full.value.lane, full.value.noticed) == (SESSION, False)
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


async def test_a_nonce_does_not_bring_back_an_expired_lease(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT, "mine")
    await expire_leases(stores)
    assert (await take(stores, CHAT, "mine")).token > lease.token


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


# ---------------------------------------------------------------- effects

BROKEN: dict[str, tuple[str, Effect]] = {
    "push, its list": (f"lane:{TARGET}:ids", Push(TARGET, "9", {})),
    "push, its lane": (f"lane:{TARGET}", Push(TARGET, "9", {})),
    "push, its record": ("item:9", Push(TARGET, "9", {})),
    "accept": ("item:9", Accept("9")),
    "finish": ("item:9", Finish("9", Outcome.ANSWERED)),
    "delivered": ("item:9", Delivered("9")),
    "dead letter, the index": ("dead", DeadLetter("1", Stage.SESSION, "why")),
    "dead letter, the record": ("item:9", DeadLetter("9", Stage.SESSION, "why")),
    "notice": (f"lane:{TARGET}", Notice(TARGET)),
    "stop": (f"lane:{TARGET}", Stop(TARGET)),
    "journal": (f"lane:{TARGET}:journal", Journal(TARGET, "{}")),
    "receipt": ("item:9", Receipt("9", 0, "{}")),
    "history": ("history:s", AppendHistory("s", "s", ["{}"], 10)),
    "session": ("session:s", UpdateSession("s", {"model": "m"})),
    "usage": ("usage:user:u:{day}", CountUsage("s", "u", "w", {"turns": 1})),
    "memory": ("memory:w", Remember("w", ["{}"])),
    "audit": ("audit", Audit("{}")),
    "show": ("chat:c", Show("c", "e", "{}")),
    "show, the ids seen": ("chat-seen:c", Show("c", "e", "{}")),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_key_of_another_type_anywhere_applies_nothing(stores: Stores, what: str) -> None:
    name, effect = BROKEN[what]
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    await redis(stores).set(prefix(stores) + name.format(day=day), "not what it should be")
    before = await everything(stores)
    with pytest.raises(EffectRejected):
        await stores.lanes.commit(
            CHAT, lease.token, 1, ["1"], [Push(SESSION, "1", {}), effect, Accept("1")]
        )
    assert await everything(stores) == before


async def test_a_broken_ledger_stops_the_count_before_the_first_write(stores: Stores) -> None:
    await redis(stores).set(f"{prefix(stores)}ledger:{datetime.now(UTC):%Y-%m-%d}", "x")
    before = await everything(stores)
    with pytest.raises(EffectRejected):
        await stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])
    assert await everything(stores) == before


@pytest.mark.parametrize("amount", [1.5, 10**30, "many"])
async def test_what_cannot_be_added_applies_nothing(stores: Stores, amount: Any) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    before = await everything(stores)
    usage = CountUsage("s", "u", "w", {"turns": 1, "input_tokens": amount})
    with pytest.raises(EffectRejected):
        await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Push(SESSION, "1", {}), usage])
    assert await everything(stores) == before


async def test_an_unknown_effect_applies_nothing(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    before = await everything(stores)
    client: Any = stores.backend
    unit = ("append", 4, client.keys.audit(), 10, 60, "{}", "delete_all", 1, "x")
    answer = await client.script("commit", args=(CHAT, lease.token, 1, 0, 1, "1", *unit))
    assert answer == [b"rejected unknown effect delete_all"]
    assert await everything(stores) == before


async def test_a_full_lane_anywhere_applies_nothing(stores: Stores) -> None:
    await fill(stores, CHAT, *"123")
    await stores.lanes.push(Push(SESSION, "0", {}, cap=2))
    lease = await take(stores, CHAT)
    before = await everything(stores)
    pushes = [Push(SESSION, item_id, {}, cap=2) for item_id in "123"]
    with pytest.raises(LaneFull):
        await stores.lanes.commit(CHAT, lease.token, 1, [*"123"], [Audit("{}"), *pushes])
    assert await everything(stores) == before
    await stores.lanes.commit(CHAT, lease.token, 2, ["1"], pushes[:1], keep=True)
    with pytest.raises(LaneFull):
        await stores.lanes.commit(CHAT, lease.token, 3, ["2"], pushes[1:2])
    assert await waiting(stores, SESSION) == ["0", "1"]


async def test_every_effect_of_a_commit_is_applied(stores: Stores) -> None:
    session = await stores.sessions.load("s")
    await stores.lanes.push(Push(SESSION, "1", {"body": "x"}), [Accept("1")])
    lease = await take(stores, SESSION)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    await stores.lanes.commit(
        SESSION,
        lease.token,
        1,
        ["1"],
        [
            AppendHistory("s", session.id, ["a", "b", "c"], 2),
            UpdateSession("s", {"model": "p/m"}),
            CountUsage("s", "u", "w", {"input_tokens": 2, "output_tokens": 3}),
            Remember("w", ["note"]),
            Audit('{"what": "turn"}'),
            Show("web:c", "e", '{"type": "user"}'),
            Show("web:c", "e", '{"type": "user"}'),
            Push(TARGET, "out", {"body": "reply"}),
            Receipt("out", 0, "{}"),
            Finish("1", Outcome.ANSWERED),
        ],
    )
    session = await stores.sessions.load("s")
    assert (session.messages, session.model) == (("b", "c"), "p/m")
    assert (session.input_tokens, session.output_tokens) == (2, 3)
    assert await stores.budgets.usage("user", "u", day) == {"input_tokens": 2, "output_tokens": 3}
    assert await stores.memory.recent("w") == ["note"]
    assert await stores.audit.recent() == ['{"what": "turn"}']
    assert [event.data for event in await stores.chats.read("web:c")] == [{"type": "user"}]
    assert await stores.messages.get("out") == {
        "lane:delivery": TARGET,
        "body": "reply",
        "chunk:0": "{}",
    }
    assert await today(stores) == {"accepted": 1, "answered": 1}


async def test_an_outcome_is_counted_once_and_the_first_one_stays(stores: Stores) -> None:
    await stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])
    lease = await take(stores, CHAT)
    ends: list[Effect] = [Finish("1", Outcome.STOPPED), Finish("1", Outcome.ANSWERED)]
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"], ends)
    assert await today(stores) == {"accepted": 1, "stopped": 1}


async def test_a_dead_letter_keeps_what_is_needed_to_replay_it(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    lease = await take(stores, SESSION)
    dead = Finish("1", Outcome.DEAD, keep_body=True)
    why: list[Effect] = [dead, DeadLetter("1", Stage.SESSION, "broke")]
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], why)
    (letter,) = await stores.messages.dead()
    assert (letter["id"], letter["stage"], letter["reason"]) == ("1", "session", "broke")
    record = await stores.messages.get("1")
    assert record is not None
    assert record["body"] == "text of 1"


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


async def test_strikes_count_expired_leases_and_errors_until_the_head_moves(
    stores: Stores,
) -> None:
    await fill(stores, SESSION, *"12")
    await take(stores, SESSION, "a")
    await expire_leases(stores)
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


async def test_a_notice_lasts_until_the_lane_takes_again(stores: Stores) -> None:
    async def is_noticed(item_id: str) -> bool:
        with pytest.raises(LaneFull) as full:
            await stores.lanes.push(Push(SESSION, item_id, {}, cap=1))
        return full.value.noticed

    await fill(stores, SESSION, "1")
    assert not await is_noticed("2")
    await fill(stores, CHAT, "r")
    router = await take(stores, CHAT)
    await stores.lanes.commit(CHAT, router.token, 1, ["r"], [Notice(SESSION)])
    assert await is_noticed("3")
    lease = await take(stores, SESSION)
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"])
    await fill(stores, SESSION, "4")
    assert not await is_noticed("5")


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


# ---------------------------------------------------------------- what stays


async def test_what_is_finished_leaves_little_and_not_for_ever(stores: Stores) -> None:
    client = redis(stores)
    for item_id in "12":
        await stores.lanes.push(Push(CHAT, item_id, {"body": "x" * 9000}), [Accept(item_id)])
    lease = await take(stores, CHAT)
    await stores.lanes.commit(
        CHAT, lease.token, 1, [*"12"], [Push(SESSION, i, {"route": "r" * 500}) for i in "12"]
    )
    lease = await take(stores, SESSION)
    await stores.lanes.commit(SESSION, lease.token, 1, [], [Journal(SESSION, "{}")], keep=True)
    ends: list[Effect] = [Finish(i, Outcome.ANSWERED) for i in "12"]
    ends += [Push(TARGET, f"out{i}", {"body": "y" * 9000}) for i in "12"]
    await stores.lanes.commit(SESSION, lease.token, 2, [*"12"], ends)
    lease = await take(stores, TARGET)
    sent = [Delivered("out1"), Delivered("out2")]
    await stores.lanes.commit(TARGET, lease.token, 1, ["out1", "out2"], sent)
    left = [key async for key in client.scan_iter(match=prefix(stores) + "*")]
    for key in left:
        assert await client.ttl(key) > 0, key
        size = await client.memory_usage(key) if stores_are_real(stores) else 0
        assert (size or 0) < 1500, key
    assert sorted(key.decode().split(":")[-1] for key in left if b"item:" in key) == [
        "1",
        "2",
        "out1",
        "out2",
    ]
    assert {f for key in left if b"item:" in key for f in await client.hkeys(key)} == {
        b"lane:inbound",
        b"lane:session",
        b"lane:delivery",
        b"day",
        b"outcome",
        b"delivery",
    }


def stores_are_real(stores: Stores) -> bool:
    return "fake" not in type(redis(stores)).__module__


async def test_the_books_balance_and_say_when_they_do_not(stores: Stores) -> None:
    for number in range(6):
        item_id = str(number)
        await stores.lanes.push(Push(CHAT, item_id, {"body": "x"}), [Accept(item_id)])
    lease = await take(stores, CHAT)
    ends: list[Effect] = [Finish(str(i), outcome) for i, outcome in enumerate(Outcome)]
    await stores.lanes.commit(CHAT, lease.token, 1, [*"01234"], [*ends, Push(SESSION, "4", {})])
    report = await stores.lanes.verify()
    assert report["balanced"], report["problems"]
    (day,) = report["days"].values()
    assert day["records"] == {
        "accepted": 6,
        "answered": 1,
        "refused": 1,
        "stopped": 1,
        "dead": 1,
        "waiting": 2,
    }
    await redis(stores).delete(f"{prefix(stores)}lane:{SESSION}:ids")  # a message is lost
    report = await stores.lanes.verify()
    assert not report["balanced"]
    assert report["problems"] == ["message 4 is 0 times in a lane, outcome None"]


async def test_the_books_show_a_message_that_was_counted_and_is_gone(stores: Stores) -> None:
    await stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])
    await redis(stores).delete(f"{prefix(stores)}item:1")
    report = await stores.lanes.verify()
    assert any("accepted is 1 in the ledger, 0 in records" in text for text in report["problems"])


async def test_records_are_json_safe_for_any_text(stores: Stores) -> None:
    body = json.dumps({"text": "ключ \N{GRINNING FACE} \x00 %s {} \n"}, ensure_ascii=False)
    await stores.lanes.push(Push(CHAT, "1", {"body": body}))
    assert (await take(stores, CHAT)).items[0].fields["body"] == body
