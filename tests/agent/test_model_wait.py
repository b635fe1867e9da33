"""Turns that wait for a model: when, for how long, what people are told, and what ends it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigil.agent import model_wait
from sigil.agent.model_wait import compute_wait
from sigil.agent.wording import format_wait
from sigil.channels.base import ChannelSpec
from sigil.errors import ErrorKind, ProviderError, StoreError
from sigil.messages.exchange import InboundMessage
from sigil.money.store import Limit
from sigil.providers.base import ChatEvent, EventType
from sigil.providers.chain.health_store import KeyGrant
from sigil.testing import (
    ScriptedProvider,
    end_cooldowns,
    expire_leases,
    fake_stores,
    make_due,
    settle,
)
from tests.talking import Talk, another_worker, talk
from tests.test_gateway_failures import failing_stores

LIMITED_30 = ProviderError("slow down.", kind=ErrorKind.RATE_LIMITED, retry_after=30.0)
LIMITED_2 = ProviderError("slow down.", kind=ErrorKind.RATE_LIMITED, retry_after=2.0)
AWAY = ProviderError("away.", kind=ErrorKind.NETWORK)
REFUSED = ProviderError("a bad key.", kind=ErrorKind.AUTH)
BUSY = "The model is busy. I will answer in about "


def scripted(*script: Any, **more: Any) -> Talk:
    return talk(provider=ScriptedProvider(script, "fake"), **more)


async def run_turn(t: Talk) -> None:
    """The head of the session's lane, once."""
    await t.gateway.turn(await t.routed())


async def find_rest(t: Talk) -> float | None:
    return (await t.stores.lanes.status(await t.routed())).rest


# ---------------------------------------------------------------- how long


@given(
    rest=st.floats(0, 4000),
    waits=st.integers(0, 2000),
    left=st.floats(-1000, 90_000),
)
def test_a_wait_ends_after_the_rest_and_soon_after(rest: float, waits: int, left: float) -> None:
    seconds = compute_wait(rest, waits, left)
    if rest >= left:
        assert seconds is None
        return
    assert seconds is not None
    assert seconds >= max(rest, model_wait.FIRST_LEAST_S)
    least = max(rest, min(2.0 ** min(waits, 9), model_wait.LAST_LEAST_S))
    assert least <= seconds <= least + min(least, model_wait.MOST_JITTER_S)


def test_who_waits_for_three_minutes_looks_few_times() -> None:
    waited, looks = 0.0, 0
    while waited < 180:
        seconds = compute_wait(0.0, looks, 600.0)
        assert seconds is not None
        waited, looks = waited + seconds, looks + 1
    assert looks <= 26


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (10.1, "in about 15\u00a0s"),
        (90, "in about 90\u00a0s"),
        (91, "in about 2 minutes"),
        (3600, "in about 60 minutes"),
        (7200, "at 14:05 UTC"),
    ],
)
def test_the_time_is_said_as_exactly_as_it_is_known(seconds: float, said: str) -> None:
    assert format_wait(seconds, datetime(2026, 11, 24, 12, 5, tzinfo=UTC)) == said


# ---------------------------------------------------------------- waiting, and then answering


async def test_a_limited_model_is_waited_for_and_all_are_answered_in_order() -> None:
    t = scripted(LIMITED_30, *"abcdef")
    await t.write("0")
    await run_turn(t)
    assert 29 < (await find_rest(t) or 0) <= 41
    for number in range(1, 6):
        await t.write(str(number))
    await run_turn(t)
    assert t.gateway.keeper.working == 0
    assert len(t.provider.requests) == 1
    await settle(t.gateway)
    notice, *answers = t.texts
    assert notice.startswith(BUSY)
    assert t.channel.sent[0].about == t.channel.sent[1].answers  # so a page can take it back
    assert answers == [*"abcdef"]
    assert await t.asked() == [*"00", *"12345"]
    assert await t.counts() == {"accepted": 6, "answered": 6, "sent": 7}


async def test_a_person_is_told_once_however_often_the_turn_waits() -> None:
    t = scripted(LIMITED_30, AWAY, AWAY, LIMITED_30, "here")
    assert [text[: len(BUSY)] for text in await t.say("hello")] == [BUSY, "here"]
    assert await t.stores.lanes.list_waits() == []


async def test_a_short_wait_is_not_told() -> None:
    t = scripted(LIMITED_2, "here")
    await t.write("hello")
    await run_turn(t)
    assert (await find_rest(t) or 9) <= 4
    await settle(t.gateway)
    assert t.texts == ["here"]


async def test_many_short_waits_are_told_in_the_end() -> None:
    t = scripted(*[LIMITED_2] * 5, "here")
    await t.write("hello")
    for _ in range(5):
        await run_turn(t)
        await make_due(t.stores)
        await end_cooldowns(t.stores)
    await settle(t.gateway)
    assert [text[: len(BUSY)] for text in t.texts] == [BUSY, "here"]


async def test_a_channel_where_notices_cost_gets_none() -> None:
    t = scripted(LIMITED_30, "here", spec=ChannelSpec(notices=False))
    assert await t.say("hello") == ["here"]


async def test_what_comes_meanwhile_is_answered_together_where_the_channel_asks_for_it() -> None:
    t = scripted(LIMITED_30, LIMITED_30, "both", spec=ChannelSpec(coalesce=True))
    await t.write("one")
    await t.route_all()
    await make_due(t.stores)
    await run_turn(t)
    await t.write("two")
    await settle(t.gateway)
    assert [text[: len(BUSY)] for text in t.texts] == [BUSY, "both"]
    assert await t.asked() == ["one", "one\ntwo", "one\ntwo"]


async def test_while_another_worker_tries_the_model_nobody_is_refused() -> None:
    t = scripted(LIMITED_30, "here")
    await t.write("hello")
    await run_turn(t)
    await make_due(t.stores)
    await end_cooldowns(t.stores)
    grant = await t.stores.health.admit("fake", "one", [""], None, "another")
    assert isinstance(grant, KeyGrant)
    assert grant.probe
    await run_turn(t)
    assert 0 < (await find_rest(t) or 0) <= 4
    assert len(t.provider.requests) == 1
    await t.stores.health.record_answer(grant)
    await settle(t.gateway)
    assert t.texts[-1] == "here"


async def test_a_turn_that_waits_is_taken_over_without_a_strike() -> None:
    t = scripted(LIMITED_30, "here")
    await t.write("hello")
    await run_turn(t)
    await make_due(t.stores)
    await end_cooldowns(t.stores)
    await another_worker(t, lanes={"max_strikes": 1}).gateway.turn(await t.routed())
    await settle(t.gateway)
    assert t.texts[-1] == "here"


async def test_what_was_called_before_the_wait_is_used_and_on_record() -> None:
    half = [
        ChatEvent(EventType.TEXT_DELTA, text="Hal"),
        ChatEvent(EventType.ERROR, error=ProviderError("broken.", kind=ErrorKind.SERVER)),
    ]
    t = scripted(half, "whole", prices={"input": 1.0, "output": 1.0})
    await t.write("hello")
    await run_turn(t)
    (entry,) = map(json.loads, await t.stores.audit.recent())
    assert (entry["what"], [each["error"] for each in entry["attempts"]]) == ("waits", ["server"])
    for window in await t.stores.budgets.read_spending([Limit("all")]):
        assert (window.spent > 0, window.reserved) == (True, 0)
    await settle(t.gateway)
    assert t.texts[-1] == "whole"
    assert "1 answers" in (await t.say("/usage"))[0]


async def test_a_draft_that_broke_off_is_taken_back_while_the_turn_waits() -> None:
    stores = fake_stores()
    shown = asyncio.Event()

    class Breaking(ScriptedProvider):
        async def chat(self, request: Any) -> Any:
            self.requests.append(request)
            if len(self.requests) > 1:
                async for event in ScriptedProvider(["whole"]).chat(request):
                    yield event
                return
            yield ChatEvent(EventType.TEXT_DELTA, text="Hal")
            await shown.wait()
            yield ChatEvent(EventType.ERROR, error=ProviderError("broken."))

    t = talk(
        stores=stores,
        provider=Breaking([], "fake"),
        users={"ann": {}},
    )
    await t.gateway.receive(InboundMessage("web", "chat", "1", "ann", "hello"))
    turn = asyncio.create_task(run_turn(t))
    while not any(each.data["type"] == "draft" for each in await stores.chats.read("web:chat")):
        await asyncio.sleep(0.01)
    shown.set()
    await turn
    events = [each.data for each in await stores.chats.read("web:chat")]
    assert [(each["type"], each["text"]) for each in events] == [("user", "hello"), ("draft", "")]
    await settle(t.gateway)
    events = [each.data for each in await stores.chats.read("web:chat")]
    assert [(each["type"], each.get("turn") is None) for each in events] == [
        ("user", True),
        ("reply", True),
        ("reply", False),
    ]


@settings(max_examples=40, deadline=None)
@given(nth=st.integers(0, 159), how_many=st.integers(1, 2))
def test_a_store_that_fails_at_any_call_repeats_no_notice(nth: int, how_many: int) -> None:
    """Each call is counted twice, before it is applied and after it: a lost answer."""
    calls = 0

    def fails(_: str) -> BaseException | None:
        nonlocal calls
        calls += 1
        return StoreError("gone") if nth <= calls - 1 < nth + how_many else None

    async def run() -> None:
        nonlocal calls
        t = scripted(LIMITED_30, LIMITED_30, *["here"] * 9, stores=failing_stores(fails))
        message = t.message("hello")
        for _ in range(9):
            with suppress(StoreError):
                await t.gateway.receive(message)
                break
        for _ in range(6):
            with suppress(StoreError):
                await settle(t.gateway)
            await expire_leases(t.stores)
        calls = 10_000  # from here on nothing fails
        await settle(t.gateway)
        *notices, answer = t.texts
        assert answer == "here"
        assert [text[: len(BUSY)] for text in notices] in ([], [BUSY])
        counts = await t.counts()
        assert (counts["accepted"], counts["answered"]) == (1, 1)

    asyncio.run(run())


# ---------------------------------------------------------------- not waiting


async def test_without_patience_nothing_waits() -> None:
    t = scripted(LIMITED_30, "late", models={"default": "fake/one", "patience": 0})
    (text,) = await t.say("hello")
    assert text == "I could not reach a model just now. Please try again in 1 minute."
    assert await t.counts() == {"accepted": 1, "failed": 1, "sent": 1}


@pytest.mark.parametrize(("age", "waits"), [(560, True), (580, False), (-4000, True)])
async def test_patience_counts_from_the_arrival_of_the_message(age: float, waits: bool) -> None:
    t = scripted(LIMITED_30, "here")
    await t.write("hello", received_at=datetime.now(UTC) - timedelta(seconds=age))
    await run_turn(t)
    assert (await t.counts()).get("failed", 0) == int(not waits)


async def test_settle_lets_a_turn_wait_three_times() -> None:
    t = scripted(*[LIMITED_30] * 4, "too late")
    assert "could not reach a model" in (await t.say("hello"))[-1]
    assert len(t.provider.requests) == 4
    assert await t.say("again") == ["too late"]


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.BILLING, ErrorKind.UNAVAILABLE])
async def test_what_only_the_owner_can_mend_is_not_waited_for(kind: ErrorKind) -> None:
    t = scripted(ProviderError("no.", kind=kind), "late")
    (text,) = await t.say("hello")
    assert text.startswith("I could" if kind is ErrorKind.UNAVAILABLE else "I cannot answer")
    assert (await t.counts())["failed"] == 1


async def test_one_model_that_is_due_soon_is_enough_to_wait_for() -> None:
    t = scripted(
        LIMITED_30,
        "here",
        providers={"b": ScriptedProvider([REFUSED], "b")},
        models={"default": "fake/one", "failover": ["b/two"]},
    )
    assert (await t.say("hello"))[-1] == "here"


# ---------------------------------------------------------------- what ends a wait


async def test_a_stop_ends_the_wait_and_drops_what_waits() -> None:
    t = scripted(LIMITED_30, "never")
    await t.write("one")
    await run_turn(t)
    await t.write("two")
    await t.write("/stop")
    await settle(t.gateway)
    dropped = "Stopped. 2 waiting messages were dropped."
    assert [t.texts[0][: len(BUSY)], *t.texts[1:]] == [BUSY, dropped]
    assert await t.counts() == {"accepted": 3, "stopped": 2, "answered": 1, "sent": 2}


@pytest.mark.parametrize("command", ["/model b/two", "/new"])
async def test_another_model_or_conversation_ends_the_wait(command: str) -> None:
    spare = ScriptedProvider([LIMITED_30, "from the other"], "b")
    models = {"default": "fake/one", "allowed": ["fake/one", "b/two"]}
    t = scripted(LIMITED_30, "here", providers={"b": spare}, models=models)
    await t.write("hello")
    await run_turn(t)
    assert await find_rest(t)
    await t.write(command)
    await t.route_all()
    assert await find_rest(t) is None
    assert await t.stores.lanes.list_waits() == []


async def test_another_model_answers_at_once() -> None:
    t = scripted(
        LIMITED_30,
        providers={"b": ScriptedProvider(["from b"], "b")},
        models={"default": "fake/one", "allowed": ["fake/one", "b/two"]},
    )
    await t.write("hello")
    await run_turn(t)
    await t.write("/model b/two")
    await run_turn(t)  # its rest is over
    await settle(t.gateway)
    assert "from b" in t.texts
    assert len(t.provider.requests) == 1


async def test_a_fresh_conversation_ends_the_wait_of_the_old_one() -> None:
    t = scripted(LIMITED_30, "old", "fresh")
    await t.write("hello")
    await run_turn(t)
    await t.write("/new")
    await t.route_all()
    assert await find_rest(t) is None
    await t.write("next")
    await settle(t.gateway)
    assert t.texts[-2:] == ["old", "fresh"]


async def test_status_says_that_the_conversation_waits() -> None:
    t = scripted(LIMITED_30, "here")
    await t.write("hello")
    await run_turn(t)
    await t.write("/status")
    await t.route_all()
    (lane,) = {lane for lane in t.woken.lanes if lane.startswith("delivery:")}
    await t.gateway.deliver(lane)
    assert any("waiting for a model, " in text for text in t.texts)
