"""/stop: what is being answered ends, what waits is dropped, and people are told how many."""

from __future__ import annotations

import asyncio

import pytest

from sigil.channels.base import ChannelSpec
from sigil.lanes.lane import Lease, Refusal
from sigil.testing import make_due, settle
from tests.talking import SlowProvider, Talk, talk


async def begin_answering(t: Talk, texts: list[str]) -> asyncio.Task[None]:
    for text in texts:
        await t.write(text)
    session = await t.routed()
    await make_due(t.stores)
    turn = asyncio.create_task(t.gateway.turn(session))
    await t.provider.speaking.wait()
    return turn


async def list_dropped(t: Talk) -> list[str]:
    events = [event.data for event in await t.stores.chats.read("memory:ann")]
    return [event["message_id"] for event in events if event["type"] == "dropped"]


@pytest.mark.parametrize(
    ("waiting", "told"),
    [
        (0, "Stopped."),
        (1, "Stopped. 1 waiting message was dropped."),
        (20, "Stopped. 20 waiting messages were dropped."),
    ],
)
async def test_people_are_told_how_many_are_dropped_and_each_is_marked(
    waiting: int, told: str
) -> None:
    live = ChannelSpec(live=True)
    t = talk(provider=SlowProvider(), lanes={"renew": 0.01, "cap": 99}, spec=live)
    turn = await begin_answering(t, [str(number) for number in range(waiting + 1)])
    await t.write("/stop")
    await t.route_all()
    await asyncio.wait_for(turn, 5)
    await settle(t.gateway)
    assert told in t.texts
    assert await list_dropped(t) == [f"m{number + 2}" for number in range(waiting)]
    counts = await t.counts()
    assert (counts["stopped"], counts["answered"]) == (waiting + 1, 1)


async def test_without_readers_of_a_log_nothing_is_marked() -> None:
    t = talk()
    for text in ("one", "/stop"):
        await t.write(text)
    await settle(t.gateway)
    assert t.texts == ["Stopped. 1 waiting message was dropped."]
    assert await list_dropped(t) == []


async def test_where_a_turn_answers_several_messages_none_of_them_is_called_waiting() -> None:
    t = talk(provider=SlowProvider(), lanes={"renew": 0.01}, memory={"coalesce": True})
    turn = await begin_answering(t, ["one", "two", "three"])
    await t.write("/stop")
    await t.route_all()
    await asyncio.wait_for(turn, 5)
    await settle(t.gateway)
    assert "Stopped. 3 messages stay unanswered." in t.texts
    assert (await t.counts())["stopped"] == 3


@pytest.mark.parametrize("rest", [Refusal.QUIET, Refusal.PARKED])
async def test_a_lane_that_rests_is_stopped_at_once(rest: Refusal) -> None:
    t = talk(memory={"coalesce": rest is Refusal.QUIET})
    await t.write("one")
    session = await t.routed()
    lanes = t.stores.lanes
    if rest is Refusal.PARKED:
        lease = await lanes.take(session, "a", ttl=9, limit=9)
        assert isinstance(lease, Lease)
        await lanes.park(session, lease.token, delay=600)
    assert await lanes.take(session, "b", ttl=9, limit=9) is rest
    await t.write("/stop")
    await t.route_all()
    await t.gateway.turn(session)
    await settle(t.gateway)
    assert t.texts == ["Stopped. 1 waiting message was dropped."]
    assert await t.counts() == {"accepted": 2, "stopped": 1, "answered": 1, "sent": 1}
