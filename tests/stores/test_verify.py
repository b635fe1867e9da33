"""The books of the accounting identity, recounted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sigil.lanes.effects import Accept, Outcome, Push
from sigil.stores import Stores
from sigil.stores.redis import build_stores
from sigil.stores.redis.client import Client
from sigil.stores.redis.keys import Keys
from sigil.testing import settle
from tests.talking import Talk, talk


def day(days_ago: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%d")


def redis(stores: Stores) -> Any:
    return stores.backend.redis  # type: ignore[attr-defined]  # what only a look inside can show


def keys(stores: Stores) -> Keys:
    made: Keys = stores.backend.keys  # type: ignore[attr-defined]  # see above
    return made


async def test_an_empty_store_balances(stores: Stores) -> None:
    empty = {"balanced": True, "problems": [], "days": {}}
    assert await stores.lanes.verify() == empty
    assert await stores.lanes.verify(deep=True) == empty | {"lost": []}


async def test_the_books_balance_at_every_step_of_a_conversation(stores: Stores) -> None:
    t = talk(stores=stores, lanes={"cap": 2})
    for text in ("one", "two", "three", "/stop", "four"):
        await t.write(text)
        await t.counts()
    await t.route_all()
    await t.counts()
    await settle(t.gateway)
    counts = await t.counts()
    ends = sum(counts.get(name, 0) for name in Outcome)
    assert counts["accepted"] == ends == 5
    await t.gateway.close()


async def test_the_books_balance_while_messages_move(stores: Stores) -> None:
    t = talk(stores=stores, lanes={"cap": 1000})
    moving = asyncio.create_task(write_and_answer(t))
    reports = []
    while not moving.done():
        reports += [await stores.lanes.verify(), await stores.lanes.verify(deep=True)]
        await asyncio.sleep(0)
    await moving
    assert [report["problems"] for report in reports if not report["balanced"]] == []
    assert (await t.counts())["answered"] == 30
    await t.gateway.close()


@pytest.mark.valkey
@pytest.mark.parametrize("stores", ["valkey"], indirect=True)  # fakeredis is too slow for it
async def test_the_books_balance_while_messages_move_between_parts(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.stores.redis.snapshot._LANES_AT_ONCE", 5)
    monkeypatch.setattr("sigil.stores.redis.verify.TRIES", 1)
    t = talk(stores=stores)
    for number in range(130):  # a small index is read as one part, whatever it is asked for
        await t.write("hello", f"p{number}")
    moving = asyncio.create_task(settle(t.gateway))
    reports = []
    while not moving.done():
        reports.append(await stores.lanes.verify())
        await asyncio.sleep(0.01)  # most of the time is for the messages
    await moving
    assert [report["problems"] for report in reports if not report["balanced"]] == []
    assert (await t.counts())["answered"] == 130
    await t.gateway.close()


async def test_what_is_lost_shows_also_while_messages_move(stores: Stores) -> None:
    t = talk(stores=stores, lanes={"cap": 1000})
    lost = await t.write("lost")
    await redis(stores).delete(keys(stores).lane_ids(t.woken.lanes[-1]))
    moving = asyncio.create_task(write_and_answer(t))
    while not moving.done():
        assert not (await stores.lanes.verify())["balanced"]
        report = await stores.lanes.verify(deep=True)
        assert [loss["id"] for loss in report["lost"]] == [lost.id]
        await asyncio.sleep(0)
    await moving
    await t.gateway.close()


async def write_and_answer(t: Talk) -> None:
    for number in range(30):
        await t.say(str(number), f"p{number % 3}")


# What may be wrong with one message and one reply that wait: what breaks it; what is found by
# comparing counts; and what the walk over the records says of which item.
BROKEN = {
    "a message in no lane": (
        ("delete", "lane:inbound:memory:c:ids"),
        "1 messages are open in the ledger, 0 lie in lanes",
        ("in", "is in no lane"),
    ),
    "a message twice": (
        ("rpush", "lane:inbound:memory:c:ids", "in"),
        "1 messages are open in the ledger, 2 lie in lanes",
        ("in", "is 2 times in a lane"),
    ),
    "a message without its record": (
        ("delete", "item:in"),
        "1 messages are open in the ledger, 0 lie in lanes",
        ("in", "has no record and is in a lane"),
    ),
    "a reply in no lane": (
        ("delete", "lane:delivery:memory:c:ids"),
        "1 replies are open in the ledger, 0 lie in lanes",
        ("out", "is in no lane"),
    ),
    "a message that has ended": (
        ("hset", "item:in", "outcome", "answered"),
        None,
        ("in", "has ended (answered) and is still in a lane"),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_wrong_is_found_and_named(stores: Stores, what: str) -> None:
    (command, key, *args), counted, (item_id, problem) = BROKEN[what]
    chat, target = "inbound:memory:c", "delivery:memory:c"
    await stores.lanes.push(Push(chat, "in", {"body": "x"}), [Accept("in")])
    await stores.lanes.push(Push(target, "out", {"body": "x"}))
    assert (await stores.lanes.verify(deep=True))["balanced"]
    await getattr(redis(stores), command)(keys(stores).prefix + key, *args)
    report = await stores.lanes.verify()
    assert report["problems"] == ([f"{day(0)}: {counted}"] if counted else [])
    report = await stores.lanes.verify(deep=True)
    assert not report["balanced"]
    (loss,) = report["lost"]
    assert (loss["id"], loss["what"]) == (item_id, problem)
    assert loss["lane"] == (chat if item_id == "in" else target)
    assert loss["day"] == ("" if "without its record" in what else day(0))


async def test_a_proof_that_is_gone_shows_in_the_walk(stores: Stores) -> None:
    t = talk(stores=stores)
    accepted = await t.write("hello")
    await settle(t.gateway)
    await redis(stores).delete(keys(stores).item(accepted.id))
    assert (await stores.lanes.verify())["balanced"]
    report = await stores.lanes.verify(deep=True)
    assert report["problems"] == [f"{day(0)}: answered is 1 in the ledger, 0 in records"]
    await t.gateway.close()


async def test_days_whose_records_have_expired_are_not_judged(stores: Stores) -> None:
    for days_ago in (0, 2, 3, 30):
        ledger = {"accepted": 1, "answered": 1}
        await redis(stores).hset(keys(stores).ledger(day(days_ago)), mapping=ledger)
    short = build_stores(stores.backend, retention_days=3)  # type: ignore[arg-type]  # a client
    report = await short.lanes.verify(deep=True)
    assert report["problems"] == [
        f"{day(ago)}: answered is 1 in the ledger, 0 in records" for ago in (2, 0)
    ]
    assert list(report["days"]) == [day(30), day(3), day(2), day(0)]
    assert list(await short.lanes.counts()) == [day(0), day(2), day(3), day(30)]


async def test_lanes_are_read_in_parts_and_none_is_forgotten(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.stores.redis.snapshot._LANES_AT_ONCE", 10)
    monkeypatch.setattr("sigil.stores.redis.snapshot._RECORDS_AT_ONCE", 10)
    monkeypatch.setattr("sigil.stores.redis.losses._ITEMS_AT_ONCE", 10)
    for number in range(200):  # so many are not kept in a listpack, which is scanned at once
        lane, item_id = f"inbound:memory:c{number}", str(number)
        await stores.lanes.push(Push(lane, item_id, {"body": "x"}), [Accept(item_id)])
    report = await stores.lanes.verify(deep=True)
    assert report["balanced"], report["problems"]
    assert report["days"][day(0)]["in_lanes"] == 200
    for number in range(0, 200, 2):
        await redis(stores).delete(keys(stores).lane_ids(f"inbound:memory:c{number}"))
    report = await stores.lanes.verify(deep=True)
    assert len(report["lost"]) == 100


async def test_a_prefix_that_reads_like_a_pattern_is_taken_literally(stores: Stores) -> None:
    client = redis(stores)
    odd_keys, plain_keys = (Keys(keys(stores).prefix + end) for end in ("[a-z]*?:", "b:"))
    odd = build_stores(Client(client, odd_keys))
    await odd.lanes.push(Push("inbound:memory:c", "1", {"body": "x"}), [Accept("1")])
    plain = build_stores(Client(client, plain_keys))
    await plain.lanes.push(Push("inbound:memory:c", "2", {"body": "x"}), [Accept("2")])
    await client.delete(
        odd_keys.lane_ids("inbound:memory:c"), plain_keys.lane_ids("inbound:memory:c")
    )
    report = await odd.lanes.verify(deep=True)
    assert [loss["id"] for loss in report["lost"]] == ["1"]
