"""What a commit applies, all of it or nothing, and what stays of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sigil.errors import EffectRejected, LaneFull, SessionStale
from sigil.identity.users import Identity, User
from sigil.lanes.effects import (
    Accept,
    Admit,
    Audit,
    CountUsage,
    DeadLetter,
    Delivered,
    Effect,
    EndWait,
    Finish,
    Journal,
    Notice,
    Outcome,
    Push,
    Receipt,
    Show,
    Stage,
    Stop,
    Wait,
    WriteSession,
)
from sigil.stores import Stores
from sigil.stores.redis import build_stores
from sigil.testing import expire_leases
from tests.contracts.lane_bench import (
    CHAT,
    SESSION,
    TARGET,
    everything,
    fill,
    prefix,
    redis,
    take,
    today,
    waiting,
)

# ---------------------------------------------------------------- effects

ANN = Identity("m", "1")
ADMIT = Admit(ANN, User("u", "Ann", identities=(ANN,)), new=True)
BROKEN: dict[str, tuple[str, Effect]] = {
    "push, its list": (f"lane:{TARGET}:ids", Push(TARGET, "9", {})),
    "push, its lane": (f"lane:{TARGET}", Push(TARGET, "9", {})),
    "push, its record": ("item:9", Push(TARGET, "9", {})),
    "accept": ("item:9", Accept("9")),
    "admit, the user": ("user:u", ADMIT),
    "admit, the list of users": ("users", ADMIT),
    "admit, the pairing": ("pairing:m:1", ADMIT),
    "admit, the user's pairings": ("paired:u", ADMIT),
    "finish": ("item:9", Finish("9", Outcome.ANSWERED)),
    "delivered": ("item:9", Delivered("9")),
    "dead letter, the index": ("dead", DeadLetter("1", Stage.TURN, "why")),
    "dead letter, the record": ("item:9", DeadLetter("9", Stage.TURN, "why")),
    "notice": (f"lane:{TARGET}", Notice(TARGET, "a-chat")),
    "stop": (f"lane:{TARGET}", Stop(TARGET)),
    "stop, the waits": ("lanes:waiting", Stop(TARGET)),
    "wait": (f"lane:{TARGET}", Wait(TARGET, 1)),
    "wait, its list": (f"lane:{TARGET}:ids", Wait(TARGET, 1)),
    "wait, all waits": ("lanes:waiting", Wait(TARGET, 1)),
    "end of a wait": (f"lane:{TARGET}", EndWait(TARGET)),
    "end of a wait, all waits": ("lanes:waiting", EndWait(TARGET)),
    "journal": (f"lane:{TARGET}:journal", Journal(TARGET, "{}")),
    "receipt": ("item:9", Receipt("9", 0, "{}")),
    "session": ("session:s", WriteSession("s", "s#0", 0)),
    "session, its history": ("history:s%230", WriteSession("s", "s#0", 0, ["{}"], 10)),
    "usage": ("usage:user:u:{day}", CountUsage("u", "w", {"turns": 1})),
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


@pytest.mark.parametrize(
    "effect",
    [
        lambda amount: CountUsage("u", "w", {"turns": 1, "input_tokens": amount}),
        lambda amount: WriteSession("s", "s#0", 0, amounts={"turns": 1, "input_tokens": amount}),
    ],
)
@pytest.mark.parametrize("amount", [1.5, 10**30, "many"])
async def test_what_cannot_be_added_applies_nothing(
    stores: Stores, effect: Callable[[Any], Effect], amount: Any
) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    before = await everything(stores)
    unit = [Push(SESSION, "1", {}), effect(amount)]
    with pytest.raises(EffectRejected):
        await stores.lanes.commit(CHAT, lease.token, 1, ["1"], unit)
    assert await everything(stores) == before


async def test_an_unknown_effect_applies_nothing(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    lease = await take(stores, CHAT)
    before = await everything(stores)
    client: Any = stores.backend
    unit = ("append", 4, client.keys.audit(), 10, 60, "{}", "delete_all", 1, "x")
    answer = await client.run_script("commit", args=(CHAT, lease.token, 1, 0, 1, "1", *unit))
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
            WriteSession(
                "s",
                session.id,
                session.version,
                messages=["a", "b", "c"],
                keep=2,
                fields={"model": "p/m"},
                amounts={"input_tokens": 2, "output_tokens": 3},
            ),
            CountUsage("u", "w", {"input_tokens": 2, "output_tokens": 3}),
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
    assert await stores.budgets.read_usage("user", "u", day) == {
        "input_tokens": 2,
        "output_tokens": 3,
    }
    assert await stores.audit.recent() == ['{"what": "turn"}']
    assert [event.data for event in await stores.chats.read("web:c")] == [{"type": "user"}]
    assert await stores.messages.get("out") == {
        "lane:delivery": TARGET,
        "body": "reply",
        "day": day,
        "chunk:0": "{}",
    }
    assert await today(stores) == {"accepted": 1, "answered": 1, "replies": 1}


async def test_a_session_that_was_written_since_it_was_read_applies_nothing(
    stores: Stores,
) -> None:
    await fill(stores, SESSION, "1", "2")
    lease = await take(stores, SESSION)
    session = await stores.sessions.load("s")
    await stores.sessions.append("s", ['"elsewhere"'], keep=10)
    before = await everything(stores)
    unit = [Push(TARGET, "out", {}), WriteSession("s", session.id, session.version, ['"a"'], 10)]
    with pytest.raises(SessionStale):
        await stores.lanes.commit(SESSION, lease.token, 1, ["1"], unit)
    assert await everything(stores) == before
    for n, done in ((2, "1"), (3, "2")):
        session = await stores.sessions.load("s")
        write = WriteSession("s", session.id, session.version, [f'"{done}"'], 10)
        await stores.lanes.commit(SESSION, lease.token, n, [done], [write], keep=True)
    assert (await stores.sessions.load("s")).messages == ('"elsewhere"', '"1"', '"2"')


async def test_a_push_notes_the_epoch_that_runs_when_it_is_applied(stores: Stores) -> None:
    await fill(stores, CHAT, "1", "2", "3")
    lease = await take(stores, CHAT)
    begin = WriteSession("s", "s#0", 0, fields={"epoch": "1"})
    unit = [Push(SESSION, "1", {}, session="s"), begin, Push(SESSION, "2", {}, session="s")]
    await stores.lanes.commit(CHAT, lease.token, 1, ["1", "2"], [*unit, Push(SESSION, "3", {})])
    items = (await take(stores, SESSION)).items
    assert [item.fields.get("epoch") for item in items] == ["0", "1", None]


@pytest.mark.parametrize("moves", ["pushed", "taken", "finished", "taken over"])
async def test_a_stop_of_a_lane_that_has_moved_applies_nothing(stores: Stores, moves: str) -> None:
    await fill(stores, CHAT, "s")
    await fill(stores, SESSION, "1", "2")
    router = await take(stores, CHAT)
    if moves in {"finished", "taken over"}:
        holder = await take(stores, SESSION)
    seen = await stores.lanes.status(SESSION)
    stop = Stop(SESSION, seen.waiting, seen.token)
    if moves == "pushed":
        await fill(stores, SESSION, "3")
    elif moves == "finished":
        await stores.lanes.commit(SESSION, holder.token, 1, ["1"], keep=True)
    else:
        if moves == "taken over":
            await expire_leases(stores)
        await take(stores, SESSION, nonce="b")
    before = await everything(stores)
    with pytest.raises(SessionStale):
        await stores.lanes.commit(CHAT, router.token, 1, ["s"], [stop])
    assert await everything(stores) == before
    seen = await stores.lanes.status(SESSION)
    stop = Stop(SESSION, seen.waiting, seen.token)
    await stores.lanes.commit(CHAT, router.token, 2, ["s"], [stop])
    renewed = await stores.lanes.renew(SESSION, seen.token, ttl=15) if seen.leased else None
    assert renewed is None or renewed.stop == seen.waiting


async def test_one_commit_may_write_a_session_and_count_a_day_twice(stores: Stores) -> None:
    await fill(stores, SESSION, "1")
    lease = await take(stores, SESSION)
    effects: list[Effect] = []
    for amount in (5, 7):
        effects.append(WriteSession("s", "s#0", 0, [f"{amount}"], 9, amounts={"turns": amount}))
        effects.append(CountUsage("u", "w", {"turns": amount}))
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], effects)
    session = await stores.sessions.load("s")
    assert (session.messages, session.version) == (("5", "7"), 2)
    assert await redis(stores).hget(f"{prefix(stores)}session:s", "turns") == b"12"
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    assert await stores.budgets.read_usage("user", "u", day) == {"turns": 12}


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
    why: list[Effect] = [dead, DeadLetter("1", Stage.TURN, "broke")]
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], why)
    (letter,) = await stores.messages.dead()
    assert (letter["id"], letter["stage"], letter["reason"]) == ("1", "turn", "broke")
    record = await stores.messages.get("1")
    assert record is not None
    assert record["body"] == "text of 1"


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
    ends += [Push(TARGET, f"out{i}", {"body": "y" * 9000, "turn": "t"}) for i in "12"]
    await stores.lanes.commit(SESSION, lease.token, 2, [*"12"], ends)
    lease = await take(stores, TARGET)
    sent = [Receipt("out1", 0, "{}"), Delivered("out1"), Delivered("out2")]
    await stores.lanes.commit(TARGET, lease.token, 1, ["out1", "out2"], sent)
    for key in await everything(stores):
        assert await client.ttl(key) > 0, key
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    proof = {"day": day, "outcome": "answered", "lane:inbound": "", "lane:session": ""}
    receipt = {"day": day, "delivery": "sent", "lane:delivery": TARGET, "turn": "t"}
    assert await stores.messages.get("1") == await stores.messages.get("2") == proof
    assert await stores.messages.get("out1") == receipt | {"chunk:0": "{}"}
    assert await stores.messages.get("out2") == receipt


@pytest.mark.parametrize(("retention", "days"), [(1, 7), (7, 7), (90, 90)])
async def test_a_handled_message_is_known_for_the_retention_and_a_week_at_least(
    stores: Stores, retention: int, days: int
) -> None:
    kept = build_stores(stores.backend, retention_days=retention)  # type: ignore[arg-type]  # a client
    for item_id in "12":
        await kept.lanes.push(Push(CHAT, item_id, {"body": "x"}), [Accept(item_id)])
    lease = await take(kept, CHAT)
    dead = Finish("2", Outcome.DEAD, keep_body=True)
    reply = Push(TARGET, "out", {"body": "y"})
    ends = [Finish("1", Outcome.ANSWERED), dead, reply]
    await kept.lanes.commit(CHAT, lease.token, 1, [*"12"], ends)
    lease = await take(kept, TARGET)
    await kept.lanes.commit(TARGET, lease.token, 1, ["out"], [Delivered("out")])
    ttls = [await redis(kept).ttl(f"{prefix(kept)}item:{item}") for item in ("1", "2", "out")]
    assert [round(ttl / 86400) for ttl in ttls] == [days, max(30, days), 1]
    for item_id in "12":
        assert (await kept.lanes.push(Push(CHAT, item_id, {"body": "x"}))).duplicate
    assert (await kept.lanes.push(reply)).duplicate


async def test_a_reply_of_very_many_chunks_ends_too(stores: Stores) -> None:
    await stores.lanes.push(Push(TARGET, "out", {"body": "y"}))
    lease = await take(stores, TARGET)
    receipts: list[Effect] = [Receipt("out", index, "{}") for index in range(9_000)]
    await stores.lanes.commit(TARGET, lease.token, 1, ["out"], [*receipts, Delivered("out")])
    record = await stores.messages.get("out")
    assert record is not None
    assert (record["delivery"], len(record)) == ("sent", 9_003)


async def test_a_reply_that_an_older_version_pushed_ends_as_any_other(stores: Stores) -> None:
    await stores.lanes.push(Push(TARGET, "out", {"body": "y"}))
    client, day = redis(stores), f"{datetime.now(UTC):%Y-%m-%d}"
    await client.hdel(f"{prefix(stores)}item:out", "day")
    await client.delete(f"{prefix(stores)}ledger:{day}")
    assert (await stores.lanes.verify(deep=True))["balanced"]
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, ["out"], [Delivered("out")])
    assert await today(stores) == {"replies": 1, "sent": 1}
    assert (await stores.lanes.verify(deep=True))["balanced"]


async def test_records_are_json_safe_for_any_text(stores: Stores) -> None:
    body = json.dumps({"text": "ключ \N{GRINNING FACE} \x00 %s {} \n"}, ensure_ascii=False)
    await stores.lanes.push(Push(CHAT, "1", {"body": body}))
    assert (await take(stores, CHAT)).items[0].fields["body"] == body
