"""The books of the accounting identity, recounted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sigil.lanes.effects import Accept, Push
from sigil.lanes.lane import LaneKind
from sigil.stores import Stores
from sigil.stores.redis import build_stores
from sigil.stores.redis.client import Client
from sigil.stores.redis.keys import Keys
from sigil.testing import settle
from tests.talking import talk


def day(days_ago: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%d")


async def test_an_empty_store_balances(stores: Stores) -> None:
    assert await stores.lanes.verify() == {"balanced": True, "problems": [], "days": {}}


async def test_the_books_balance_at_every_step_of_a_conversation(stores: Stores) -> None:
    t = talk(stores=stores, lanes={"cap": 2})
    for text in ("one", "two", "three", "/stop", "four"):
        await t.write(text)
        await t.counts()
    await t.route_all()
    await t.counts()
    await settle(t.gateway)
    counts = await t.counts()
    ends = sum(counts.get(name, 0) for name in ("answered", "refused", "stopped", "dead"))
    assert counts["accepted"] == ends == 5
    await t.gateway.close()


async def test_the_books_balance_while_messages_move(stores: Stores) -> None:
    t = talk(stores=stores, lanes={"cap": 1000})

    async def traffic() -> None:
        for number in range(30):
            await t.say(str(number), f"p{number % 3}")

    moving = asyncio.create_task(traffic())
    reports = []
    while not moving.done():
        reports.append(await stores.lanes.verify())
        await asyncio.sleep(0)
    await moving
    assert [report["problems"] for report in reports if not report["balanced"]] == []
    assert (await t.counts())["answered"] == 30
    await t.gateway.close()


async def test_what_is_lost_shows_also_while_messages_move(stores: Stores) -> None:
    t = talk(stores=stores, lanes={"cap": 1000})
    lost = await t.write("lost")
    client: Any = stores.backend
    await client.redis.delete(client.keys.item(lost.id))
    await settle(t.gateway)

    async def traffic() -> None:
        for number in range(30):
            await t.say(str(number))

    moving = asyncio.create_task(traffic())
    while not moving.done():
        assert not (await stores.lanes.verify())["balanced"]
        await asyncio.sleep(0)
    await moving
    await t.gateway.close()


async def test_a_message_that_is_twice_in_lanes_is_a_problem(stores: Stores) -> None:
    lane = await stores.lanes.key(LaneKind.INBOUND, "memory", "c")
    await stores.lanes.push(Push(lane, "1", {"body": "x"}), [Accept("1")])
    client: Any = stores.backend
    await client.redis.rpush(client.keys.lane_ids(lane), "1")
    report = await stores.lanes.verify()
    assert report["problems"] == ["message 1 is 2 times in a lane, outcome None"]


async def test_days_whose_records_have_expired_are_not_judged(stores: Stores) -> None:
    client: Any = stores.backend
    for days_ago in (0, 2, 3, 30):
        await client.redis.hset(client.keys.ledger(day(days_ago)), "accepted", 1)
    assert isinstance(client, Client)
    short = build_stores(client, retention_days=3)
    report = await short.lanes.verify()
    assert list(report["days"]) == [day(2), day(0)]
    assert list(await short.lanes.counts()) == [day(0), day(2), day(3), day(30)]


async def test_a_prefix_that_reads_like_a_pattern_is_taken_literally(stores: Stores) -> None:
    client: Any = stores.backend
    odd = build_stores(Client(client.redis, Keys(client.keys.prefix + "[a-z]*?:")))
    await odd.lanes.push(Push("inbound:memory:c", "1", {"body": "x"}), [Accept("1")])
    plain = build_stores(Client(client.redis, Keys(client.keys.prefix + "b:")))
    await plain.lanes.push(Push("inbound:memory:c", "2", {"body": "x"}), [Accept("2")])
    report = await odd.lanes.verify()
    assert report["balanced"], report["problems"]
    assert report["days"][day(0)]["records"] == {"accepted": 1, "waiting": 1}
