"""A turn that was begun goes on with the same messages."""

from __future__ import annotations

import asyncio

from sigil.testing import (
    expire_leases,
    make_due,
    settle,
)
from tests.talking import SlowProvider, another_worker, talk


async def test_a_turn_that_was_begun_is_answered_with_the_same_messages() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, memory={"coalesce": True}, lanes={"renew": 60, "lease": 200})
    for text in ("one", "two"):
        await t.write(text)
    session = await t.routed()
    await make_due(t.stores)
    crashed = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await t.write("three")
    await t.routed()
    await expire_leases(t.stores)  # as if its process had been killed
    slow.release.set()
    later = another_worker(t)
    await later.gateway.turn(session)
    await crashed
    await settle(later.gateway)
    assert await t.asked() == ["one\ntwo", "one\ntwo", "three"]
    assert t.texts == ["so far and done"] * 2
    assert await t.counts() == {"accepted": 3, "answered": 3, "sent": 2}


async def test_a_worker_that_takes_fewer_items_answers_those_it_has() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, memory={"coalesce": True}, lanes={"renew": 60, "lease": 200})
    for text in ("one", "two", "three"):
        await t.write(text)
    session = await t.routed()
    await make_due(t.stores)
    crashed = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await expire_leases(t.stores)
    slow.release.set()
    later = another_worker(t, lanes={"items_per_lease": 2})
    await later.gateway.turn(session)
    await crashed
    await settle(later.gateway)
    assert await t.asked() == ["one\ntwo\nthree", "one\ntwo", "three"]
    assert await t.stores.messages.dead() == []
