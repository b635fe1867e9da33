"""A turn: what the model is told, what is kept, and how it is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

from sigil.host.process import Process
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, EventType
from sigil.testing import ScriptedProvider, settle
from tests.talking import SlowProvider, talk


def said(*texts: str) -> list[ChatEvent]:
    return [
        *(ChatEvent(EventType.TEXT_DELTA, text=text) for text in texts),
        ChatEvent(EventType.USAGE, usage=Usage(10, 5)),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]


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
    dropped = "Stopped. 2 waiting messages were dropped."
    assert sorted(t.texts) == [dropped, "so far\n\n_Stopped._"]
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
    assert sorted(t.texts) == ["Stopped. 2 waiting messages were dropped.", "ok"]
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
    assert sorted(t.texts) == ["Stopped. 1 waiting message was dropped.", "so far and done"]


async def test_a_stop_of_nothing_says_so() -> None:
    t = talk()
    assert await t.say("/stop") == ["Nothing is running."]
    assert await t.say("hello") == ["ok"]


async def test_a_used_up_budget_is_said_before_the_history_is_read() -> None:
    t = talk(provider=ScriptedProvider([said("one")]), budgets={"max_session_tokens": 15})
    await t.say("first")
    client: Any = t.stores.backend
    (history,) = [key async for key in client.redis.scan_iter("*history*")]
    await client.redis.rpush(history, "not a message")
    (refused,) = await t.say("second")
    assert "budget" in refused
    assert await t.stores.messages.dead() == []
