"""How a turn ends: what is sent and what is kept."""

from __future__ import annotations

import json

import pytest

from sigil.agent import wording
from sigil.channels.base import Capabilities
from sigil.messages.conversation import Usage
from sigil.messages.exchange import MAX_REPLY_BYTES
from sigil.providers.base import ChatEvent, EventType
from sigil.testing import FakeProvider, ScriptedProvider, settle
from tests.talking import SlowProvider, talk


def said(*texts: str) -> list[ChatEvent]:
    return [
        *(ChatEvent(EventType.TEXT_DELTA, text=text) for text in texts),
        ChatEvent(EventType.USAGE, usage=Usage(10, 5)),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]


# ---------------------------------------------------------------- what is kept


async def test_usage_and_audit_are_kept_with_the_answer() -> None:
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


async def test_a_turn_that_takes_too_long_without_a_word_has_failed() -> None:
    t = talk(provider=SlowProvider(words=""), timeouts={"turn": 0.05})
    assert await t.say("hello") == [wording.TOO_LONG]
    assert await t.counts() == {"accepted": 1, "failed": 1, "sent": 1}
