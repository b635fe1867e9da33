"""A turn that another worker takes over is answered once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from sigil.lanes.effects import Journal
from sigil.lanes.lane import Lease
from sigil.providers.base import ChatEvent, ChatRequest
from sigil.testing import FakeProvider, expire_leases, make_due, settle
from tests.talking import SlowProvider, another_worker, talk


@pytest.mark.parametrize(
    ("limit", "asked"),
    [
        (10, ["one\ntwo\nthree"]),  # what came meanwhile is answered along
        (1, ["one", "two", "three"]),  # this worker takes fewer at a time
    ],
)
async def test_each_message_is_answered_once_however_it_is_grouped(
    limit: int, asked: list[str]
) -> None:
    slow = SlowProvider()
    t = talk(provider=slow, memory={"coalesce": True}, lanes={"renew": 60, "lease": 200})
    for text in ("one", "two"):
        await t.write(text)
    session = await t.routed()
    await make_due(t.stores)
    crashed = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    assert await t.asked() == ["one\ntwo"]
    await t.write("three")
    await t.routed()
    await expire_leases(t.stores)  # as if its process had been killed
    t.provider = FakeProvider("fake")
    later = another_worker(t, lanes={"items_per_lease": limit})
    await later.gateway.turn(session)
    slow.release.set()  # it was only frozen, and writes what it has
    await crashed
    await settle(later.gateway)
    assert await t.asked() == asked
    assert t.texts == ["ok"] * len(asked)
    assert await t.counts() == {"accepted": 3, "answered": 3, "sent": len(asked)}


@pytest.mark.parametrize(("limit", "asked"), [(10, ["one\ntwo", "three"]), (1, ["one", "two"])])
async def test_a_turn_that_an_older_worker_began_goes_on_with_its_messages(
    limit: int, asked: list[str]
) -> None:
    t = talk(memory={"coalesce": True}, lanes={"items_per_lease": limit})
    accepted = [await t.write(text) for text in ("one", "two", "three")]
    session = await t.routed()
    await make_due(t.stores)
    lease = await t.stores.lanes.take(session, "older", ttl=9, limit=9)
    assert isinstance(lease, Lease)
    entry = Journal(session, json.dumps({"items": [each.id for each in accepted[:2]]}))
    await t.stores.lanes.commit(session, lease.token, 1, [], [entry], keep=True)
    await expire_leases(t.stores)
    await settle(t.gateway)
    assert (await t.asked())[:2] == asked
    assert (await t.counts())["answered"] == 3


class DeadlyProvider(FakeProvider):
    """Ends the worker that asks it about what is deadly: it answers only when all is over."""

    def __init__(self) -> None:
        super().__init__("fake")
        self.kills = asyncio.Event()
        self.is_over = asyncio.Event()

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        if "deadly" in request.messages[-1].content:
            self.kills.set()
            self.requests.append(request)
            await self.is_over.wait()
        async for event in super().chat(request):
            yield event


async def test_a_message_that_ends_its_workers_is_given_up_alone() -> None:
    deadly = DeadlyProvider()
    t = talk(provider=deadly, memory={"coalesce": True}, lanes={"renew": 60, "lease": 200})
    for text in ("innocent", "deadly", "late"):
        await t.write(text)
    session = await t.routed()
    await make_due(t.stores)
    killed = []
    while (await t.stores.lanes.status(session)).waiting:
        turn = asyncio.create_task(another_worker(t).gateway.turn(session))
        death = asyncio.create_task(deadly.kills.wait())
        await asyncio.wait({turn, death}, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        deadly.kills.clear()
        if not turn.done():
            killed.append(turn)
            await expire_leases(t.stores)
    asked = await t.asked()
    deadly.is_over.set()
    await asyncio.gather(*killed)
    await settle(t.gateway)
    together, rest = "innocent\ndeadly\nlate", "deadly\nlate"
    assert asked == [together, together, "innocent", rest, rest, *["deadly"] * 3, "late"]
    assert ["given up" in text for text in t.texts] == [False, True, False]
    assert await t.counts() == {"accepted": 3, "answered": 2, "dead": 1, "sent": 3}
