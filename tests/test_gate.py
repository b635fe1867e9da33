"""What is heard at all, and what becomes of edits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sigil.agent.speakers import MARK
from sigil.gate import MOST_PER_WINDOW
from sigil.testing import settle
from tests.agent.test_model_wait import run_turn
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
