"""A turn: what the model is told, what is kept, and how it is stopped."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sigil.agent import wording
from sigil.channels.base import Capabilities
from sigil.conversation import Usage
from sigil.messages import MAX_REPLY_BYTES, Attachment
from sigil.process import Process
from sigil.providers.base import ChatEvent, EventType
from sigil.testing import FakeProvider, ScriptedProvider, settle
from tests.talking import SlowProvider, talk


def said(*texts: str) -> list[ChatEvent]:
    return [
        *(ChatEvent(EventType.TEXT_DELTA, text=text) for text in texts),
        ChatEvent(EventType.USAGE, usage=Usage(10, 5)),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]


# ---------------------------------------------------------------- what the model is told


async def test_the_model_is_told_where_it_is_and_who_speaks() -> None:
    t = talk(
        capabilities=Capabilities(hint="Plain text only."),
        memory={"prompt": "Be brief."},
        agent={"system_prompt": "You are Sigil."},
        users={"ann": {"identities": ["memory:ann"]}},
        workspaces={
            "home": {
                "members": ["ann"],
                "prompt": "This is home.",
                "bindings": [{"channel": "memory", "channel_id": "room"}],
            }
        },
        models={"max_tokens": 77, "temperature": 0.5},
    )
    await t.say("hello", channel_id="room", sender_name="An[n]", is_direct=False)
    (request,) = t.provider.requests
    assert (
        request.system_prompt == "You are Sigil.\n\nThis is home.\n\nPlain text only.\n\nBe brief."
    )
    assert request.messages[-1].content == "[memory group, An(n)]\nhello"
    assert (request.model, request.max_tokens, request.temperature) == ("one", 77, 0.5)


async def test_files_are_named_to_the_model() -> None:
    t = talk()
    file = Attachment("https://example.org/a.pdf", "a.pdf", "application/pdf")
    await t.say("", attachments=(file,))
    assert "(attached: a.pdf, application/pdf)" in t.provider.requests[0].messages[-1].content


async def test_the_model_sees_the_conversation_within_its_window() -> None:
    t = talk(agent={"window": 5}, provider=ScriptedProvider(f"a{i}" for i in range(9)))
    for i in range(6):
        await t.say(f"q{i}")
    last = t.provider.requests[-1].messages
    assert [(m.role, m.content.split("\n")[-1]) for m in last] == [
        ("user", "q3"),
        ("assistant", "a3"),
        ("user", "q4"),
        ("assistant", "a4"),
        ("user", "q5"),
    ]


async def test_people_have_their_own_conversations() -> None:
    t = talk()
    await t.say("mine", "ann")
    await t.say("yours", "bob")
    assert len(t.provider.requests[-1].messages) == 1


# ---------------------------------------------------------------- what is kept


@pytest.mark.parametrize("count", [10**18, -5])
async def test_a_count_beyond_reason_does_not_cost_the_answer(count: int) -> None:
    events = [
        ChatEvent(EventType.TEXT_DELTA, text="fine"),
        ChatEvent(EventType.USAGE, usage=Usage(count, 5)),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]
    t = talk(provider=ScriptedProvider([events]))
    await t.say("hello")
    assert [message.content for message in t.channel.sent] == ["fine"]


async def test_usage_memory_and_audit_are_kept_with_the_answer() -> None:
    t = talk(provider=ScriptedProvider([said("yes")]))
    accepted = await t.write("is it?")
    await settle(t.gateway)
    (entry,) = [json.loads(e) for e in await t.stores.audit.recent() if '"turn"' in e]
    assert entry["attempts"][0]["model"] == "fake/one"
    assert (entry["attempts"][0]["input_tokens"], entry["attempts"][0]["output_tokens"]) == (10, 5)
    assert "is it?" not in json.dumps(entry)
    record = await t.stores.messages.get(accepted.id)
    assert record is not None
    assert "body" not in record
    assert "10 in, 5 out" in (await t.say("/usage"))[0]


async def test_answers_that_utf_8_cannot_hold_are_sent_all_the_same() -> None:
    t = talk(provider=ScriptedProvider([said("smile \ud83d", "\ude00 and \ud800 half"), "next"]))
    assert await t.say("hello") == ["smile \N{GRINNING FACE} and \ufffd half"]
    assert await t.say("more") == ["next"]


async def test_an_answer_without_end_is_cut_to_what_can_be_sent() -> None:
    t = talk(
        provider=FakeProvider("fake", reply="é" * MAX_REPLY_BYTES),
        capabilities=Capabilities(max_chars=10 * MAX_REPLY_BYTES),
    )
    (text,) = await t.say("hello")
    assert text == "é" * (MAX_REPLY_BYTES // 2)


@pytest.mark.parametrize("reply", ["", "  \n"])
async def test_an_empty_answer_is_not_silence(reply: str) -> None:
    t = talk(provider=ScriptedProvider([said(reply)]))
    assert await t.say("hello") == [wording.EMPTY]
    assert (await t.counts())["answered"] == 1


async def test_a_turn_that_takes_too_long_keeps_what_it_has() -> None:
    t = talk(provider=SlowProvider(), timeouts={"turn": 0.05})
    assert await t.say("hello") == [f"so far\n\n{wording.TOO_LONG}"]
    assert (await t.counts())["answered"] == 1


# ---------------------------------------------------------------- budgets


async def test_a_used_up_budget_refuses_and_new_gives_a_fresh_one() -> None:
    t = talk(
        provider=ScriptedProvider([said("one"), said("two")]), budgets={"max_session_tokens": 15}
    )
    assert await t.say("first") == ["one"]
    (refused,) = await t.say("second")
    assert "budget" in refused
    assert "/new" in refused
    assert len(t.provider.requests) == 1
    await t.say("/new")
    assert await t.say("third") == ["two"]
    assert len(t.provider.requests[-1].messages) == 1
    counts = await t.counts()
    assert (counts["answered"], counts["refused"]) == (3, 1)


# ---------------------------------------------------------------- stop


async def test_a_stop_ends_the_turn_keeps_its_words_and_drops_what_waits() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, lanes={"renew": 0.01})
    for text in ("one", "two", "three"):
        await t.write(text)
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await t.write("/stop")
    await t.route_all()
    await asyncio.wait_for(turn, 5)
    assert slow.closed == 1
    await settle(t.gateway)
    assert sorted(t.texts) == ["Stopped.", "so far\n\n_Stopped._"]
    assert len(slow.requests) == 1
    assert await t.counts() == {"accepted": 4, "stopped": 3, "answered": 1, "sent": 2}
    slow.release.set()
    await t.say("four")
    past = [m.content.split("\n")[-1] for m in slow.requests[-1].messages]
    assert past == ["one", "so far", "four"]


async def test_a_stop_is_prompt_without_waiting_for_the_renewal() -> None:
    slow = SlowProvider(words="")
    t = talk(provider=slow, lanes={"renew": 60, "lease": 200})
    listening = asyncio.create_task(Process(t.gateway, t.settings).listen_for_stops())
    await t.write("one")
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await t.write("/stop")
    await t.route_all()
    await asyncio.wait_for(turn, 10)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await settle(t.gateway)
    assert t.texts == ["Stopped."]
    assert await t.counts() == {"accepted": 2, "stopped": 1, "answered": 1, "sent": 1}


async def test_a_stop_drops_what_waits_and_nothing_that_comes_after() -> None:
    t = talk()
    for text in ("one", "two", "/stop", "three"):
        await t.write(text)
    await settle(t.gateway)
    assert await t.asked() == ["three"]
    assert sorted(t.texts) == ["Stopped.", "ok"]
    assert await t.counts() == {"accepted": 4, "stopped": 2, "answered": 2, "sent": 2}


async def test_a_late_signal_of_a_stop_stops_nothing_newer() -> None:
    slow = SlowProvider()
    t = talk(provider=slow)
    for text in ("one", "/stop", "two"):
        await t.write(text)
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    client: Any = t.stores.backend
    until = client.keys.lane(session), "lease_until"
    before = await client.redis.hget(*until)
    listening = asyncio.create_task(Process(t.gateway, t.settings).listen_for_stops())
    while await client.redis.hget(*until) == before:  # the signal makes the holder look
        await client.redis.publish(client.keys.stops(), session)
        await asyncio.sleep(0.001)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    slow.release.set()
    await turn
    await settle(t.gateway)
    assert sorted(t.texts) == ["Stopped.", "so far and done"]


async def test_a_stop_of_nothing_says_so() -> None:
    t = talk()
    assert await t.say("/stop") == ["Nothing is running."]
    assert await t.say("hello") == ["ok"]
