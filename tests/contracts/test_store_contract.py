"""What every implementation of the plain stores must do; run on each by `stores`."""

from __future__ import annotations

import json

import pytest

from sigil.errors import StoreError, UserNotFound
from sigil.identity.users import Identity, User
from sigil.lanes.effects import (
    Audit,
    CountUsage,
    DeadLetter,
    Push,
    Stage,
    WriteSession,
)
from sigil.lanes.lane import LaneKind
from sigil.stores import connect
from sigil.stores.redis.batch import Batcher

# Names from outside that would meet if any key were put together carelessly.
HOSTILE = ["a", "A", "a:b", "a%3Ab", "a b", "a#1", "a\x00b", "*", "é", "\u00e9", "e\u0301", "\n"]
HOSTILE_PAIRS = [("a", "b:c"), ("a:b", "c"), ("a", "b%3Ac"), ("a%3Ab", "c"), ("", "a"), ("a", "")]
HOSTILE_PAIRS += [("a\x00", "b"), ("a", "\x00b")]


async def apply(stores, *effects) -> None:
    """Applies effects in the only way there is: with an item that is pushed."""
    lane = await stores.lanes.key(LaneKind.SESSION, "test", "chat")
    item = await stores.lanes.item_id("test", repr(effects))
    await stores.lanes.push(Push(lane, item, {"body": "{}"}), effects)


async def lifetimes(stores, kind: str) -> list[int]:
    """Seconds to live of every key of one kind; -1 for one that never goes."""
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    return [await redis.ttl(key) async for key in redis.scan_iter(match=f"{prefix}{kind}*")]


async def next_millisecond(stores) -> None:
    """Returns when the server's clock shows another millisecond than now."""

    async def now() -> int:
        seconds, micros = await stores.backend.redis.time()
        return seconds * 1000 + micros // 1000

    before = await now()
    while await now() == before:
        pass


# ---------------------------------------------------------------- users


async def test_a_user_comes_back_as_it_was(stores):
    for number, name in enumerate(HOSTILE):
        identities = (Identity(name, str(number)), Identity("irc", f"{name}{number}"))
        user = User(f"{name}{number}", name, "owner", identities, "per_channel")
        await stores.users.add(user)
        assert await stores.users.get(user.id) == user
        assert [await stores.users.find(i.channel, i.platform_id) for i in identities] == [user] * 2
    assert len(await stores.users.all()) == len(HOSTILE)


async def test_a_user_reads_the_same_in_the_short_and_in_the_old_form(stores):
    user = User("ann", "Ann", identities=(Identity("irc", "ann"),))
    await stores.users.add(user)
    key, redis = stores.backend.keys.user("ann"), stores.backend.redis
    short = json.loads(await redis.hget(key, "data"))
    assert await stores.users.get("ann") == user
    await redis.hset(key, "data", json.dumps(short | {"role": "member", "session_mode": "unified"}))
    assert await stores.users.get("ann") == user


async def test_identities_that_look_alike_are_apart(stores):
    for number, pair in enumerate(HOSTILE_PAIRS):
        await stores.users.add(User(str(number), "x", identities=(Identity(*pair),)))
    found = [(await stores.users.find(*pair)).id for pair in HOSTILE_PAIRS]
    assert found == [str(number) for number in range(len(HOSTILE_PAIRS))]


async def test_an_identity_named_twice_is_held_once(stores):
    identity = Identity("irc", "nick")
    await stores.users.add(User("1", "x", identities=(identity, identity)))
    await stores.users.add(User("1", "x"))
    with pytest.raises(UserNotFound):
        await stores.users.find("irc", "nick")


async def test_a_damaged_user_is_not_an_unknown_one(stores):
    await stores.users.add(User("1", "x"))
    await stores.backend.redis.hset(stores.backend.keys.user("1"), "data", "{")
    with pytest.raises(StoreError):
        await stores.users.get("1")


# ---------------------------------------------------------------- pairings


async def test_a_pairing_is_of_one_identity(stores):
    await stores.pairings.add(*HOSTILE_PAIRS[0], "usr:1")
    assert [await stores.pairings.has(*pair) for pair in HOSTILE_PAIRS] == [True] + [False] * 7
    assert await stores.pairings.user_of(*HOSTILE_PAIRS[0]) == "usr:1"
    assert await stores.pairings.user_of(*HOSTILE_PAIRS[1]) is None


async def test_a_user_is_paired_until_their_last_pairing_goes(stores):
    for channel in ("telegram", "slack", "slack"):
        await stores.pairings.add(channel, "7", "usr-1")
    await stores.pairings.remove("telegram", "7")
    assert await stores.pairings.is_paired("usr-1")
    await stores.pairings.remove("slack", "7")
    await stores.pairings.remove("slack", "7")
    assert not await stores.pairings.is_paired("usr-1")
    assert not await stores.pairings.has("slack", "7")


async def test_a_pairing_moves_to_another_user(stores):
    await stores.pairings.add("telegram", "7", "usr-1")
    await stores.pairings.add("telegram", "7", "usr-2")
    assert not await stores.pairings.is_paired("usr-1")
    assert await stores.pairings.is_paired("usr-2")
    assert await stores.pairings.user_of("telegram", "7") == "usr-2"


# ---------------------------------------------------------------- sessions


async def test_a_session_that_nobody_wrote_in(stores):
    session = await stores.sessions.load("homelab/group")
    assert (session.key, session.id) == ("homelab/group", "homelab/group#0")
    assert (session.epoch, session.model, session.messages) == (0, None, ())
    assert (session.input_tokens, session.output_tokens) == (0, 0)


async def test_sessions_are_apart_and_keep_their_order(stores):
    for name in HOSTILE:
        await stores.sessions.append(name, [json.dumps(name), '"é"'], keep=10)
        await stores.sessions.append(name, ['"2"'], keep=10)
    for name in HOSTILE:
        expected = (json.dumps(name), '"é"', '"2"')
        assert (await stores.sessions.load(name)).messages == expected * HOSTILE.count(name)


async def test_a_history_is_trimmed_and_goes_some_day(stores):
    await stores.sessions.append("s", [], keep=3)
    assert (await stores.sessions.load("s")).messages == ()
    await stores.sessions.append("s", [str(n) for n in range(10)], keep=3)
    assert (await stores.sessions.load("s")).messages == ("7", "8", "9")
    for kind in ("history:", "session:"):
        assert all(90 * 86400 < ttl <= 92 * 86400 for ttl in await lifetimes(stores, kind))


async def test_a_turns_commit_and_the_store_mean_the_same_session(stores):
    key = "personal:a%3Ab/direct/é"
    session = await stores.sessions.load(key)
    await apply(
        stores,
        WriteSession(
            key,
            session.id,
            session.version,
            messages=['"1"', '"2"'],
            keep=10,
            fields={"model": "echo/echo"},
            amounts={"input_tokens": 5, "output_tokens": 7},
        ),
    )
    await stores.sessions.append(key, ['"3"'], keep=10)
    session = await stores.sessions.load(key)
    assert session.messages == ('"1"', '"2"', '"3"')
    assert (session.input_tokens, session.output_tokens) == (5, 7)
    assert (session.epoch, session.model) == (0, "echo/echo")


async def test_the_next_epoch_is_a_fresh_session(stores):
    await stores.sessions.append("s", ['"old"'], keep=10)
    fields = {"epoch": "12", "model": "", "input_tokens": "0"}
    await apply(stores, WriteSession("s", "s#0", 1, fields=fields))
    session = await stores.sessions.load("s")
    assert (session.id, session.epoch, session.model, session.messages) == ("s#12", 12, None, ())
    await stores.sessions.append("s", ['"new"'], keep=10)
    await apply(stores, WriteSession("s", "s#12", 3, ['"newer"'], 10))
    assert (await stores.sessions.load("s")).messages == ('"new"', '"newer"')


async def test_a_session_that_is_over_can_still_be_read_and_written(stores):
    await apply(stores, WriteSession("s", "s#0", 0, ['"old"'], 10, amounts={"input_tokens": 5}))
    fields = {"epoch": "1", "model": "a/b", "input_tokens": "2"}
    await apply(stores, WriteSession("s", "s#0", 1, fields=fields))
    over = await stores.sessions.load("s", 0)
    assert (over.id, over.epoch, over.is_over, over.version) == ("s#0", 0, True, 2)
    assert (over.messages, over.model, over.input_tokens) == (('"old"',), "a/b", 0)
    await apply(stores, WriteSession("s", over.id, over.version, ['"late"'], 10))
    assert (await stores.sessions.load("s", 0)).messages == ('"old"', '"late"')
    current = await stores.sessions.load("s")
    assert (current.messages, current.input_tokens, current.is_over) == ((), 2, False)
    # A failover may have lost the write that began the epoch which a message names.
    assert await stores.sessions.load("s", 1) == await stores.sessions.load("s", 2) == current


async def test_each_write_of_a_session_raises_its_version(stores):
    assert (await stores.sessions.load("s")).version == 0
    await stores.sessions.append("s", ["1"], keep=10)
    await apply(stores, WriteSession("s", "s#0", 1, ["2"], 10))
    await apply(stores, WriteSession("s", "s#0", 2, amounts={"input_tokens": 3}))
    session = await stores.sessions.load("s")
    assert (session.version, session.messages, session.input_tokens) == (3, ("1", "2"), 3)


async def test_a_session_is_renewed_when_it_is_worn_and_outlives_its_promise(stores):
    promise, redis = 90 * 86400, stores.backend.redis
    keys = [f"{stores.backend.keys.prefix}{name}" for name in ("session:s", "history:s%230")]
    await stores.sessions.append("s", ["1"], keep=10)
    for left in (promise + 5000, promise - 5):
        for key in keys:
            await redis.expire(key, left)
        session = await stores.sessions.load("s")
        await apply(stores, WriteSession("s", "s#0", session.version, [f"{left}"], 10))
        for key in keys:
            ttl = await redis.ttl(key)
            assert ttl >= promise
            assert (ttl > promise + 6000) == (left < promise)


async def test_a_session_and_its_history_are_one_round_trip(stores, monkeypatch):
    await stores.sessions.load("s")
    trips = []
    call = Batcher.call

    async def counted(self, *command):
        trips.append(command[0])
        return await call(self, *command)

    monkeypatch.setattr(Batcher, "call", counted)
    await stores.sessions.load("s")
    assert trips == ["EVALSHA"]


# ---------------------------------------------------------------- messages


async def test_the_record_of_an_item(stores):
    assert await stores.messages.get("nothing") is None
    lane = await stores.lanes.key(LaneKind.INBOUND, "test", "chat")
    item = await stores.lanes.item_id("one")
    await stores.lanes.push(Push(lane, item, {"body": "é\x00:", "empty": ""}))
    record = await stores.messages.get(item)
    assert record is not None
    assert (record["body"], record["empty"]) == ("é\x00:", "")


async def test_dead_letters_newest_first(stores):
    assert await stores.messages.dead() == []
    for name in ("one", "two", "three"):
        await apply(stores, DeadLetter(name, Stage.TURN, f"{name} failed: é"))
        await next_millisecond(stores)
    found = await stores.messages.dead(2)
    assert [letter["id"] for letter in found] == ["three", "two"]
    assert (found[0]["stage"], found[0]["reason"]) == ("turn", "three failed: é")
    assert found[0]["at"] >= found[1]["at"] > 1_600_000_000
    assert await stores.messages.dead(0) == []


# ---------------------------------------------------------------- memory


async def test_memory_keeps_the_newest_thousand(stores):
    await stores.memory.add("w", [])
    await stores.memory.add("w", [str(n) for n in range(700)])
    await stores.memory.add("w", [str(n) for n in range(700, 1003)])
    assert await stores.memory.recent("w", 2000) == [str(n) for n in range(3, 1003)]
    assert await stores.memory.recent("w", 2) == ["1001", "1002"]
    assert await stores.memory.recent("w", 0) == []
    assert all(ttl > 0 for ttl in await lifetimes(stores, "memory:"))


async def test_memories_are_apart(stores):
    names = list(dict.fromkeys(HOSTILE))
    for name in names:
        await stores.memory.add(name, [json.dumps(name)])
    assert [await stores.memory.recent(name) for name in names] == [[json.dumps(n)] for n in names]


async def test_search_ranks_by_words_found_then_the_newest(stores):
    one, two, three, four = (
        json.dumps({"role": "user", "text": text})
        for text in ("buy MILK", "Milk and bread, please", "bread", "buttermilk; Straße")
    )
    await stores.memory.add("w", [one, two, three, four])
    assert await stores.memory.search("w", "milk bread") == [two, three, one]
    assert await stores.memory.search("w", "milk bread", limit=1) == [two]
    assert await stores.memory.search("w", "STRASSE") == [four]
    for nothing in ("eggs", "", " ,.", "text", ".*"):
        assert await stores.memory.search("w", nothing) == []
    assert await stores.memory.search("w", "milk", limit=0) == []


async def test_search_reads_any_entry(stores):
    entries = ["not json milk", '["milk"]', '{"a":{"b":[{"c":"milk"}]}}', '"milk"', "[" * 50_000]
    await stores.memory.add("w", [*entries, "7", "null", ""])
    assert await stores.memory.search("w", "milk") == entries[3::-1]


# ---------------------------------------------------------------- audit and usage


async def test_the_audit_log(stores):
    assert await stores.audit.recent() == []
    for number in range(3):
        await stores.audit.add(str(number))
    await apply(stores, Audit('"é"'))
    assert await stores.audit.recent() == ["0", "1", "2", '"é"']
    assert await stores.audit.recent(1) == ['"é"']
    assert await stores.audit.recent(0) == []
    assert all(ttl > 0 for ttl in await lifetimes(stores, "audit"))


async def test_the_audit_log_keeps_the_newest_ten_thousand(stores):
    key = stores.backend.keys.audit()
    await stores.backend.redis.rpush(key, *(str(n) for n in range(10_000)))
    await stores.audit.add("last")
    entries = await stores.audit.recent(20_000)
    assert (len(entries), entries[0], entries[-1]) == (10_000, "1", "last")


async def test_usage_of_a_day(stores):
    from datetime import UTC, datetime

    day = datetime.now(UTC).strftime("%Y-%m-%d")
    for amount in (5, 7):
        await apply(stores, CountUsage("a:b", "homelab", {"input_tokens": amount, "turns": 1}))
    days = {day, datetime.now(UTC).strftime("%Y-%m-%d")}
    for scope, subject in (("user", "a:b"), ("workspace", "homelab")):
        counted = [await stores.budgets.read_usage(scope, subject, day) for day in days]
        assert sum(each.get("input_tokens", 0) for each in counted) == 12
        assert sum(each.get("turns", 0) for each in counted) == 2
    assert await stores.budgets.read_usage("user", "homelab", day) == {}
    assert await stores.budgets.read_usage("user:a", "b", day) == {}
    assert await stores.budgets.read_usage("user", "a:b", "2020-01-01") == {}
    assert all(0 < ttl <= 40 * 86400 for ttl in await lifetimes(stores, "usage:"))


# ---------------------------------------------------------------- a store that is away


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.users.add(User("1", "x")),
        lambda s: s.users.get("1"),
        lambda s: s.users.find("a", "b"),
        lambda s: s.users.all(),
        lambda s: s.pairings.add("a", "b", "1"),
        lambda s: s.pairings.has("a", "b"),
        lambda s: s.pairings.is_paired("1"),
        lambda s: s.pairings.remove("a", "b"),
        lambda s: s.sessions.load("s"),
        lambda s: s.sessions.append("s", ["1"], keep=1),
        lambda s: s.messages.get("1"),
        lambda s: s.messages.dead(),
        lambda s: s.memory.add("w", ["1"]),
        lambda s: s.memory.search("w", "milk"),
        lambda s: s.vectors.put("w", "v", [1.0]),
        lambda s: s.vectors.search("w", [1.0]),
        lambda s: s.vectors.delete("w", "v"),
        lambda s: s.audit.add("1"),
        lambda s: s.audit.recent(),
        lambda s: s.budgets.read_usage("user", "1", "2026-01-01"),
    ],
)
async def test_a_store_that_is_away_says_so(tmp_path, ask):
    stores = connect(f"unix://{tmp_path}/nobody-listens.sock")
    with pytest.raises(StoreError) as caught:
        await ask(stores)
    assert type(caught.value) is StoreError
    assert caught.value.transient
    await stores.backend.close()


@pytest.mark.parametrize(
    "command",
    [
        ("NO-SUCH-COMMAND",),
        ("EVAL", "return nil + 1", 0),
        ("EVAL", "return redis.call('LPUSH', KEYS[1], 'x')", 1, "a-text"),
    ],
)
async def test_a_command_that_is_wrong_is_not_tried_again(stores, command):
    await stores.backend.call("SET", "a-text", "")
    with pytest.raises(StoreError) as caught:
        await stores.backend.call(*command)
    assert not caught.value.transient
