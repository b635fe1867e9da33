"""What a commit applies, all of it or nothing, and what stays of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sigil.errors import EffectRejected, LaneFull
from sigil.identity.users import Identity, User
from sigil.lanes.effects import (
    Accept,
    Admit,
    AppendHistory,
    Audit,
    CountUsage,
    DeadLetter,
    Delivered,
    Effect,
    Finish,
    Journal,
    Notice,
    Outcome,
    Push,
    Receipt,
    Show,
    Stage,
    Stop,
    UpdateSession,
)
from sigil.stores import Stores
from sigil.stores.redis.bounds import CHAT_TTL
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
    "notice": (f"lane:{TARGET}", Notice(TARGET)),
    "stop": (f"lane:{TARGET}", Stop(TARGET)),
    "journal": (f"lane:{TARGET}:journal", Journal(TARGET, "{}")),
    "receipt": ("item:9", Receipt("9", 0, "{}")),
    "history": ("history:s", AppendHistory("s", "s", ["{}"], 10)),
    "session": ("session:s", UpdateSession("s", {"model": "m"})),
    "usage": ("usage:user:u:{day}", CountUsage("s", "u", "w", {"turns": 1})),
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
            AppendHistory("s", session.id, ["a", "b", "c"], 2),
            UpdateSession("s", {"model": "p/m"}),
            CountUsage("s", "u", "w", {"input_tokens": 2, "output_tokens": 3}),
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
    why: list[Effect] = [dead, DeadLetter("1", Stage.TURN, "broke")]
    await stores.lanes.commit(SESSION, lease.token, 1, ["1"], why)
    (letter,) = await stores.messages.dead()
    assert (letter["id"], letter["stage"], letter["reason"]) == ("1", "turn", "broke")
    record = await stores.messages.get("1")
    assert record is not None
    assert record["body"] == "text of 1"


@pytest.mark.parametrize(("left", "is_written"), [(CHAT_TTL - 60, True), (CHAT_TTL + 60, False)])
async def test_what_is_used_lives_on_for_as_long_as_is_promised(
    stores: Stores, left: int, is_written: bool
) -> None:
    """`left`: how long a key has yet to live at its next use. What is enough is not written."""
    client, keys = redis(stores), [prefix(stores) + name for name in ("chat:c", "chat-seen:c")]
    await stores.lanes.push(Push(CHAT, "1", {}), [Show("c", "e1", "{}")])
    fresh = [await client.ttl(key) for key in keys]
    assert all(CHAT_TTL < ttl <= 1.02 * CHAT_TTL for ttl in fresh)
    for key in keys:
        await client.expire(key, left)
    await stores.lanes.push(Push(CHAT, "2", {}), [Show("c", "e2", "{}")])
    for key, ttl in zip(keys, fresh, strict=True):
        now = await client.ttl(key)
        assert now >= CHAT_TTL
        assert (abs(now - ttl) < 5) is is_written


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
