"""Dollars, failures and pictures, from the person's side."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.messages.conversation import Usage
from sigil.messages.exchange import Attachment
from sigil.money.store import Limit
from sigil.providers.base import ChatEvent, EventType
from sigil.testing import FakeProvider, ScriptedProvider, settle
from tests.talking import SlowProvider, Talk, another_worker, talk

# A hundred micro-dollars a token.
PRICES = {"input": 100, "output": 100}


def answered(text: str, into: int, out: int) -> list[ChatEvent]:
    return [
        ChatEvent(EventType.TEXT_DELTA, text=text),
        ChatEvent(EventType.USAGE, usage=Usage(into, out)),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]


def failed(kind: ErrorKind, **more: Any) -> ProviderError:
    return ProviderError(f"fake: {kind.value}.", kind=kind, provider="fake", **more)


def scripted(*script: Any, **settings: Any) -> Talk:
    return talk(provider=ScriptedProvider(script, "fake"), **settings)


async def spent(t: Talk, scope: str = "all", subject: str = "") -> tuple[int, int]:
    """Spent and reserved this hour, in micro-dollars."""
    (hour, _) = await t.stores.budgets.read_spending([Limit(scope, subject)])
    return hour.spent, hour.reserved


async def audits(t: Talk) -> list[dict[str, Any]]:
    return [json.loads(entry) for entry in await t.stores.audit.recent()]


# ------------------------------------------------------------------ budgets


async def test_what_was_used_is_spent_in_every_scope() -> None:
    t = scripted(
        answered("one", 30, 12), prices=PRICES, users={"ann": {"identities": ["memory:ann"]}}
    )
    assert await t.say("hello") == ["one"]
    assert await spent(t) == (4_200, 0)
    assert await spent(t, "user", "ann") == (4_200, 0)
    (turn,) = await audits(t)
    assert turn["attempts"][0]["cost"] == 4_200


async def test_an_answer_is_shortened_to_what_can_be_paid() -> None:
    t = scripted(answered("one", 30, 12), prices=PRICES, budgets={"max_day_usd": 0.2})
    await t.say("hello")
    (request,) = t.provider.requests
    assert 256 <= request.max_tokens < 2_000


async def test_a_used_up_budget_is_refused_with_the_time_of_its_reset() -> None:
    t = scripted(answered("one", 1_000, 900), "never", prices=PRICES, budgets={"max_day_usd": 0.2})
    assert await t.say("hello") == ["one"]
    (text,) = await t.say("again")
    assert "budget" in text
    assert "resets at 00:00 UTC" in text
    assert len(t.provider.requests) == 1
    assert await spent(t) == (190_000, 0)
    assert (await t.counts())["refused"] == 1


async def test_a_window_that_holds_no_number_ends_its_message_and_not_its_lane() -> None:
    t = scripted(
        answered("one", 30, 12),
        answered("three", 30, 12),
        prices=PRICES,
        users={"ann": {"identities": ["memory:ann"]}},
        lanes={"max_strikes": 1},
    )
    assert await t.say("hello") == ["one"]
    client: Any = t.stores.backend
    (window,) = [key async for key in client.redis.scan_iter(b"*budget:user:ann:hour:*")]
    await client.redis.hset(window, "spent", "no number")
    (text,) = await t.say("again")
    assert "several times" in text
    assert (await t.counts())["dead"] == 1
    await client.redis.delete(window)
    assert await t.say("and now") == ["three"]


async def test_ones_own_limit_does_not_stop_another() -> None:
    t = scripted(
        answered("one", 900, 900),
        answered("two", 10, 10),
        prices=PRICES,
        users={"ann": {"identities": ["memory:ann"], "budget": {"max_hour_usd": 0.2}}},
    )
    assert await t.say("hello") == ["one"]
    (text,) = await t.say("again")
    assert text.startswith("Your budget for this hour")
    assert await t.say("hello", sender="bob") == ["two"]


async def test_usage_shows_a_person_their_money() -> None:
    t = scripted(
        answered("one", 100, 100),
        prices=PRICES,
        users={"ann": {"identities": ["memory:ann"], "budget": {"max_day_usd": 1}}},
        budgets={"max_day_usd": 5},
    )
    await t.say("hello")
    (text,) = await t.say("/usage")
    assert "**You, today** $0.02 of $1.00, resets at 00:00 UTC" in text
    assert "$5.00" not in text  # what all may spend together is the owner's to know


async def test_a_failed_attempt_costs_what_it_used() -> None:
    half = ChatEvent(EventType.TEXT_DELTA, text="Hal")
    used = ChatEvent(EventType.USAGE, usage=Usage(50, 5))
    error = ChatEvent(EventType.ERROR, error=failed(ErrorKind.SERVER))
    t = talk(
        provider=ScriptedProvider([[half, used, error]], "fake"),
        providers={"backup": FakeProvider("backup", reply="well")},
        models={"failover": ["backup/m"]},
        prices=PRICES,
    )
    assert await t.say("hello") == ["well"]
    assert (await spent(t))[0] >= 5_500
    (turn,) = await audits(t)
    assert [attempt["error"] for attempt in turn["attempts"]] == ["server", None]
    assert turn["attempts"][0]["cost"] >= 5_500


async def test_what_failed_before_the_money_ran_out_is_used_and_on_record() -> None:
    half = ChatEvent(EventType.TEXT_DELTA, text="Hal")
    used = ChatEvent(EventType.USAGE, usage=Usage(1_000, 900))
    error = ChatEvent(EventType.ERROR, error=failed(ErrorKind.SERVER))
    t = scripted(
        [half, used, error],
        "never",
        prices=PRICES,
        models={"default": "fake/model", "failover": ["fake/two"]},
        budgets={"user": {"max_day_usd": 0.2}},
        users={"ann": {"identities": ["memory:ann"]}},
    )
    (text,) = await t.say("hello")
    assert text.startswith("Your budget for today does not cover this")
    assert len(t.provider.requests) == 1
    (turn,) = await audits(t)
    assert (turn["what"], turn["detail"]) == ("refused", text)
    assert [attempt["error"] for attempt in turn["attempts"]] == ["server"]
    assert await spent(t, "user", "ann") == (turn["attempts"][0]["cost"], 0)
    (text,) = await t.say("/usage")
    assert "1900 tokens (1000 in, 900 out)" in text
    assert "1000 tokens in, 900 out, 0 answers" in text


async def test_a_stopped_call_is_settled_and_on_record_as_stopped() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, prices=PRICES, models={"max_tokens": 500}, lanes={"renew": 0.01})
    await t.write("hello")
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    _, reserved = await spent(t)
    assert reserved > 50_000
    await t.write("/stop")
    await t.route_all()
    await asyncio.wait_for(turn, 10)
    # Whether the model thinks nobody knows, so that its whole answer counts.
    assert await spent(t) == (reserved, 0)
    (entry,) = await audits(t)
    (attempt,) = entry["attempts"]
    assert (attempt["answered"], attempt["error"], attempt["cost"]) == (False, None, reserved)


async def test_what_no_vendor_counted_counts_by_its_size_against_the_sessions_tokens() -> None:
    words = ChatEvent(EventType.TEXT_DELTA, text="x" * 3_000)
    nothing = ChatEvent(EventType.USAGE, usage=Usage())
    done = ChatEvent(EventType.DONE, stop_reason="stop")
    t = scripted(
        [words],  # breaks off
        [words, nothing, done],
        "never",
        models={"failover": ["fake/two"]},
        budgets={"max_session_tokens": 2_000},
    )
    assert await t.say("hello") == ["x" * 3_000]
    (text,) = await t.say("/usage")
    used = int(re.search(r"(\d+) of 2000 tokens", text)[1])
    assert 2_000 < used < 2_600
    assert "token budget of this session is used up" in (await t.say("again"))[0]
    assert len(t.provider.requests) == 2


async def test_a_call_of_a_turn_that_is_handed_back_is_paid_for_and_so_is_the_next() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, prices=PRICES, models={"max_tokens": 500})
    await t.write("hello")
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    _, reserved = await spent(t)
    await t.gateway.keeper.hand_back()
    await asyncio.gather(turn, return_exceptions=True)
    assert await spent(t) == (reserved, 0)
    slow.release.set()
    await another_worker(t).gateway.turn(session)
    assert await spent(t) == (reserved + 200, 0)


async def test_without_a_price_nothing_is_counted_and_nothing_refused() -> None:
    t = scripted(answered("one", 30, 12))
    assert await t.say("hello") == ["one"]
    assert await spent(t) == (0, 0)


async def test_a_model_of_unknown_price_is_not_used_where_dollars_are_limited() -> None:
    other = FakeProvider("other", reply="other")
    t = talk(providers={"other": other}, prices=PRICES, budgets={"max_day_usd": 5})
    await t.say("/model other/strange")
    assert await t.say("hello") == ["ok"]
    assert other.requests == []
    (turn,) = await audits(t)
    assert turn["attempts"][0]["model"] == "fake/one"


# ------------------------------------------------------------------ failures


async def test_a_failure_is_one_honest_sentence_and_its_record_says_why() -> None:
    error = failed(ErrorKind.SERVER, status=500, request_id="req-1")
    t = scripted(error, "well", models={"default": "fake/one", "patience": 0})
    for text in ("hello", "again"):  # then the model rests for 30 s
        await t.write(text)
    await t.gateway.turn(await t.routed())
    first, second = await audits(t)
    (attempt,) = first["attempts"]
    assert (attempt["error"], attempt["status"], attempt["request_id"]) == ("server", 500, "req-1")
    assert "500" in attempt["why"] or "server" in attempt["why"]
    assert second["attempts"] == []
    assert "resting after server" in second["detail"]
    assert await t.say("once more") == [
        *["I could not reach a model just now. Please try again in 1 minute."] * 2,
        "well",
    ]


async def test_what_one_worker_learned_the_other_knows() -> None:
    first = scripted(failed(ErrorKind.AUTH), "never")
    await first.write("hello")
    await first.gateway.turn(await first.routed())
    await first.write("again")
    await another_worker(first).gateway.turn(await first.routed())
    await settle(first.gateway)
    assert ["Only my owner can mend that" in text for text in first.texts] == [True, True]
    assert len(first.provider.requests) == 1


async def test_too_long_a_conversation_says_what_helps() -> None:
    t = scripted(failed(ErrorKind.CONTEXT_TOO_LONG))
    assert "/new" in (await t.say("hello"))[0]


# ------------------------------------------------------------------ pictures


@pytest.mark.parametrize(
    "url", ["https://h.invalid/cat.png", "data:image/png;base64,AAAA", "file:///etc/passwd"]
)
async def test_no_vendor_is_given_an_address(url: str) -> None:
    t = talk(models={"default": "fake/model"})
    await t.say("look", attachments=(Attachment(url, "cat.png", "image/png"),))
    await t.say("and now?")
    first, second = t.provider.requests
    assert first.messages[-1].images == second.messages[0].images == ()
    assert url not in first.messages[-1].content
