"""What is heard at all, and what becomes of edits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from sigil.agent.speakers import MARK
from sigil.channels.base import ChannelSpec
from sigil.gate import MOST_PER_WINDOW
from sigil.lanes.lane import LaneKind, LaneStatus, lane_kind
from sigil.messages.exchange import Attachment, InboundMessage
from sigil.refusals import OVER_LIMIT_TEXT
from sigil.testing import settle
from tests.agent.test_model_wait import run_turn
from tests.budget_clock import Clock, script_text
from tests.talking import SlowProvider, Talk, talk

ROOM: dict[str, Any] = {"channel_id": "room", "is_direct": False}
PEOPLE = {name: {"identities": [f"memory:{name}"]} for name in ("ann", "bob")}
HOME = {
    "members": ["ann", "bob"],
    "context": 2,
    "bindings": [{"channel": "memory", "channel_id": "room"}],
}


def group(**more: Any) -> Talk:
    return talk(users=PEOPLE, workspaces={"home": HOME}, **more)


async def test_a_bot_is_not_heard() -> None:
    t = talk()
    assert await t.say("beep", from_bot=True) == []
    assert await t.counts() == {}


async def test_in_a_group_only_what_is_addressed_is_answered() -> None:
    t = group()
    assert await t.say("lunch?", addressed=False, **ROOM) == []
    assert await t.say("bot, hello", **ROOM) == ["ok"]
    assert (await t.counts())["accepted"] == 1


async def test_an_account_may_hear_all() -> None:
    t = group(memory={"groups": "all"})
    assert await t.say("lunch?", addressed=False, **ROOM) == ["ok"]


async def test_what_was_said_to_others_is_told_once_as_far_as_the_workspace_wants() -> None:
    t = group()
    for text in ("one", "two", "three"):
        await t.say(text, "bob", addressed=False, sender_name="Bob", **ROOM)
    await t.say("what did he say?", **ROOM)
    await t.say("and now?", **ROOM)
    first, second = (each.messages[-1].content for each in t.provider.requests)
    heard = [line for line in first.split("\n") if line.startswith(MARK)]
    assert heard == ["| two", "| three", "| what did he say?"]
    assert 'overheard "Bob"]' in first
    assert "overheard" not in second


async def test_two_machines_that_talk_are_cut() -> None:
    t = group(lanes={"cap": 100})
    for i in range(MOST_PER_WINDOW + 5):
        await t.write(f"{i}", **ROOM)
    await settle(t.gateway)
    assert len(await t.asked()) == MOST_PER_WINDOW
    assert await t.say("in another chat", "ann") == ["ok"]


async def test_a_message_that_comes_again_counts_once() -> None:
    t = group()
    for _ in range(MOST_PER_WINDOW + 5):  # the store took it in at the last try, say
        await t.write("hello", message_id="1", **ROOM)
    assert await t.say("another", message_id="2", **ROOM) == ["ok", "ok"]


async def test_an_edit_replaces_what_waits() -> None:
    t = talk()
    await t.write("frist", message_id="1")
    await t.write("first", message_id="1", kind="edit", revision="2")
    await t.write("next", message_id="2")
    await settle(t.gateway)
    assert await t.asked() == ["first", "next"]
    assert t.texts == ["ok", "ok"]


async def test_an_edit_leaves_the_files_of_what_waits() -> None:
    t = talk()
    photo = Attachment("https://files.example/a.png", "a.png", "image/png", kind="image")
    accepted = await t.write("lok", message_id="1", attachments=(photo,))
    await t.write("look", message_id="1", kind="edit", revision="2")
    await t.route_all()
    message = InboundMessage.from_record(await t.stores.messages.get(accepted.id) or {})
    assert (message.content, message.attachments) == ("look", (photo,))


async def test_nobody_changes_the_words_of_others_that_wait() -> None:
    t = group()
    await t.write("mine", message_id="1", **ROOM)
    await t.write("forged", "bob", message_id="1", kind="edit", revision="2", **ROOM)
    await settle(t.gateway)
    assert await t.asked() == ["mine"]


@pytest.mark.parametrize("is_over", [True, False])
async def test_an_edit_is_not_lost_if_its_turn_begins_just_then(
    is_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = talk(provider=SlowProvider())
    await t.write("frist", message_id="1")
    lane, look = await t.routed(), t.stores.lanes.status
    turns: list[asyncio.Task[None]] = []

    async def look_before(asked: str) -> LaneStatus:
        status = await look(asked)
        if asked == lane and not turns:
            turns.append(asyncio.create_task(t.gateway.turn(lane)))
            await t.provider.speaking.wait()
            if is_over:
                t.provider.release.set()
                await turns[0]
        return status

    await t.write("first", message_id="1", kind="edit", revision="2")
    monkeypatch.setattr(t.stores.lanes, "status", look_before)
    await t.gateway.route(t.woken.last(LaneKind.INBOUND))
    t.provider.release.set()
    await turns[0]
    await t.say("next")
    told = "\n".join(message.content for message in t.provider.requests[-1].messages)
    assert "| first" in told


async def test_an_edit_of_what_was_answered_corrects_what_the_model_remembers() -> None:
    t = talk()
    await t.say("frist", message_id="1")
    assert await t.say("first", message_id="1", kind="edit", revision="2") == []
    await t.say("what did I say?")
    told = "\n".join(message.content for message in t.provider.requests[-1].messages)
    assert told.index("frist") < told.index("changed an earlier message") < told.index("| first")


async def test_an_edit_while_its_turn_runs_corrects_and_is_not_lost() -> None:
    t = talk(provider=SlowProvider())
    await t.write("frist", message_id="1")
    turn = asyncio.create_task(run_turn(t))
    await t.provider.speaking.wait()
    await t.write("first", message_id="1", kind="edit", revision="2")
    await t.route_all()
    t.provider.release.set()
    await turn
    await t.say("next")
    told = "\n".join(message.content for message in t.provider.requests[-1].messages)
    assert "| first" in told
    assert len(t.texts) == 2


async def test_an_edit_may_be_answered_again() -> None:
    t = talk(memory={"edits": "answer"})
    await t.say("frist", message_id="1")
    assert await t.say("first", message_id="1", kind="edit", revision="2") == ["ok"]
    assert await t.asked() == ["frist", "first"]


@pytest.mark.parametrize("text", ["first", "/stop"])
async def test_an_edit_of_what_was_never_heard_is_left_alone(text: str) -> None:
    t = talk()
    assert await t.say(text, message_id="1", kind="edit", revision="2") == []


async def test_a_pressed_button_is_what_it_says() -> None:
    t = talk()
    (text,) = await t.say("/help", message_id="press-1", kind="action")
    assert "/stop" in text


# ---------------------------------------------------------------- how much somebody may write

FEW: dict[str, Any] = {"limits": {"messages_per_minute": 20, "burst": 2}, "lanes": {"cap": 3}}


async def test_who_floods_is_told_once_and_the_books_balance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    t = talk(**FEW, memory={"coalesce": False})
    await Clock(t.stores, f"{datetime.now(UTC):%Y-%m-%dT%H:%M}").advance()  # it stands still
    for i in range(1000):
        await t.write(f"{i}")
    await t.write("hello", "bob")
    await t.route_all_once()
    for lane in [each for each in t.woken.lanes if lane_kind(each) is LaneKind.SESSION]:
        await t.gateway.turn(lane)
    assert await t.asked() == ["0", "1", "hello"]  # the others wait
    await settle(t.gateway)
    told = OVER_LIMIT_TEXT.format(rate=20)
    assert t.texts.count(told) == 1
    assert await t.asked() == ["0", "1", "hello", "2", "3", "4"]
    assert await t.counts() == {"accepted": 1001, "answered": 6, "refused": 995, "sent": 7}
    for i in range(6):  # nothing waited any more, so this is another episode
        await t.write(f"again {i}")
    await settle(t.gateway)
    assert t.texts.count(told) == 2


async def test_a_flooder_in_a_group_holds_up_nobody_there() -> None:
    t = group(**{**FEW, "lanes": {"cap": 100}})
    for i in range(10):
        await t.write(f"{i}", **ROOM)
    await t.write("and me?", "bob", **ROOM)
    await t.route_all()
    assert await t.counts() == {"accepted": 11, "refused": 8}
    await settle(t.gateway)
    assert t.texts.count(OVER_LIMIT_TEXT.format(rate=20)) == 1


async def test_a_stranger_who_floods_is_told_nothing() -> None:
    t = talk(**FEW, memory={"pairing": "closed"})
    for i in range(10):
        await t.write(f"{i}")
    await settle(t.gateway)
    assert t.texts == []
    assert await t.counts() == {"accepted": 10, "refused": 10}


async def test_where_people_watch_each_message_that_was_refused_is_marked() -> None:
    t = talk(**FEW, spec=ChannelSpec(live=True))
    for i in range(7):
        await t.write(f"{i}")
    events = await t.stores.chats.read("memory:ann")
    marked = [each.data for each in events if each.data["type"] == "refused"]
    assert [each["message_id"] for each in marked] == ["m6", "m7"]


async def test_a_null_is_no_limit() -> None:
    t = talk(limits={"messages_per_minute": None}, lanes={"cap": 1000})
    for i in range(100):
        await t.write(f"{i}")
    await t.route_all()
    assert await t.counts() == {"accepted": 100}
