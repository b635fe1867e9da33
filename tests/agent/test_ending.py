"""How a turn ends: what is sent and what is kept."""

from __future__ import annotations

import asyncio
import json

import pytest

from sigil.agent import wording
from sigil.agent.ending import CONTINUE
from sigil.channels.base import ChannelSpec
from sigil.errors import ErrorKind, ProviderError
from sigil.messages.conversation import Usage
from sigil.messages.exchange import MAX_REPLY_BYTES, AnswerDetails, OutboundMessage
from sigil.providers.base import ChatEvent, EventType
from sigil.testing import FakeProvider, ScriptedProvider, settle
from tests.talking import SlowProvider, Talk, talk


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
        spec=ChannelSpec(text_limit=10 * MAX_REPLY_BYTES),
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


# ---------------------------------------------------------------- how an answer came about

LIVE = ChannelSpec(live=True)


def cut(*texts: str) -> list[ChatEvent]:
    return [*said(*texts)[:-1], ChatEvent(EventType.DONE, stop_reason="length")]


async def test_an_answer_says_which_model_gave_it_and_what_it_cost() -> None:
    t = talk(provider=ScriptedProvider([said("yes")]), prices={"input": 1, "output": 2})
    await t.say("is it?")
    (sent,) = t.channel.sent
    assert sent.details == AnswerDetails(
        "fake/one", sent.details.seconds if sent.details else -1, 10, 5, 20
    )
    assert sent.answers == ("m1",)


async def test_a_model_that_broke_off_is_named_and_paid_for_and_no_price_is_no_zero() -> None:
    lost = ProviderError("lost", kind=ErrorKind.NETWORK, provider="fake")
    half = [ChatEvent(EventType.TEXT_DELTA, text="half"), ChatEvent(EventType.ERROR, error=lost)]
    t = talk(
        provider=ScriptedProvider([half, half, half]),
        providers={"other": ScriptedProvider([said("whole")])},
        models={"failover": ["other/two"]},
    )
    assert await t.say("hello") == ["whole"]
    details = t.channel.sent[0].details
    assert details is not None
    assert (details.model, details.broke_off) == ("other/two", ("fake/one",))
    assert (details.input_tokens > 10, details.output_tokens > 5) == (True, True)
    assert details.cost is None


async def test_an_answer_that_its_limit_cut_says_how_to_go_on() -> None:
    t = talk(provider=ScriptedProvider([cut("half"), said("rest")]), models={"max_tokens": 300})
    (text,) = await t.say("hello")
    assert (
        text
        == "half\n\n" + f"{wording.CUT.format(limit=300)} {wording.GO_ON.format(text=CONTINUE.id)}"
    )
    await t.say(CONTINUE.id)
    assert [sent.details and sent.details.cut_at for sent in t.channel.sent] == [300, None]
    assert t.provider.requests[1].messages[1].content == "half"


async def test_a_live_chat_is_told_of_a_cut_answer_by_its_details_and_a_button() -> None:
    t = talk(provider=ScriptedProvider([cut("half")]), spec=LIVE)
    assert await t.say("hello") == ["half"]
    (sent,) = t.channel.sent
    assert sent.details is not None
    assert sent.details.cut_at
    assert sent.actions == (CONTINUE,)


@pytest.mark.parametrize(
    ("spec", "text"),
    [(LIVE, "so far"), (ChannelSpec(), f"so far\n\n{wording.STOPPED}")],
)
async def test_a_stopped_answer_is_marked_once(spec: ChannelSpec, text: str) -> None:
    slow = SlowProvider()
    t = talk(provider=slow, spec=spec)
    sent = await stop_turn(t, slow)
    (answer,) = [each for each in sent if each.answers == ("m1",)]
    assert answer.content == text
    assert answer.details is not None
    assert answer.details.stopped


async def test_what_was_stopped_before_its_first_word_is_marked_as_dropped() -> None:
    slow = SlowProvider(words="")
    t = talk(provider=slow, spec=LIVE)
    sent = await stop_turn(t, slow)
    assert [each.answers for each in sent] == [("m2",)]
    events = [dict(event.data) for event in await t.stores.chats.read("memory:ann")]
    assert events[-1] == {"type": "dropped", "message_id": "m1"}


async def stop_turn(t: Talk, slow: SlowProvider) -> list[OutboundMessage]:
    """Asks, says /stop once the model speaks, and returns what was sent."""
    await t.write("hello")
    turn = asyncio.create_task(t.gateway.turn(await t.routed()))
    await slow.speaking.wait()
    await t.write("/stop")
    await t.route_all()
    await turn
    await settle(t.gateway)
    return t.channel.sent


async def test_what_belongs_to_no_turn_names_none() -> None:
    t = talk()
    await t.say("/help")
    await t.say("/status")
    await t.say("hello")
    turns = [chunk.turn_id for chunk in t.channel.chunks]
    assert [bool(turn) for turn in turns] == [False, False, True]
    assert [sent.answers for sent in t.channel.sent] == [("m1",), ("m2",), ("m3",)]
