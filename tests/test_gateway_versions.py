"""Records of newer versions and malformed ones in lanes: whom they hold up and harm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from sigil import records
from sigil.channels.base import ChannelSpec
from sigil.host import record as host_record
from sigil.host.record import RecordKeeper
from sigil.lanes.effects import Receipt
from sigil.lanes.lane import LaneKind, Lease, lane_kind
from sigil.records import VERSION
from sigil.testing import make_due, settle
from tests.talking import Talk, talk

NEWER = {"v": VERSION + 1, "min": VERSION + 1}


async def find_lanes(t: Talk, kind: LaneKind) -> list[str]:
    client: Any = t.stores.backend
    lanes = await client.redis.zrange(client.keys.due(), 0, -1)
    return [lane.decode() for lane in lanes if lane_kind(lane.decode()) is kind]


async def rewrite(t: Talk, item: str, field: str, change: Callable[[Any], Any]) -> None:
    """Changes a JSON field of an item's record."""
    client: Any = t.stores.backend
    key = client.keys.item(item)
    text = json.dumps(change(json.loads(await client.redis.hget(key, field))))
    await client.redis.hset(key, field, text)


async def read_ids(t: Talk, lane: str) -> list[str]:
    client: Any = t.stores.backend
    return [id.decode() for id in await client.redis.lrange(client.keys.lane_ids(lane), 0, -1)]


async def receive(t: Talk) -> tuple[str, Callable[[str], Any]]:
    await t.write("hello")
    return (await find_lanes(t, LaneKind.INBOUND))[0], t.gateway.route


async def route(t: Talk) -> tuple[str, Callable[[str], Any]]:
    await receive(t)
    return await t.routed(), t.gateway.turn


async def answer(t: Talk) -> tuple[str, Callable[[str], Any]]:
    lane, turn = await route(t)
    await turn(lane)
    return (await find_lanes(t, LaneKind.DELIVERY))[0], t.gateway.deliver


LANES = [(receive, "body"), (route, "body"), (route, "route"), (answer, "body")]
NAMES = [f"{bring.__name__}-{field}" for bring, field in LANES]


@pytest.mark.parametrize(("bring", "field"), LANES, ids=NAMES)
async def test_a_lane_with_a_record_for_newer_processes_is_left_to_them(
    bring: Callable[[Talk], Any], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = talk()
    lane, verb = await bring(t)
    await rewrite(t, (await read_ids(t, lane))[0], field, lambda found: {**found, **NEWER})
    for _ in range(7):  # more often than a message may fail
        await verb(lane)
        swept = await t.stores.lanes.sweep()
        assert swept.next_due is not None
        assert 1 < swept.next_due <= 3, "the lane rests, and others can take it soon"
        await make_due(t.stores)
    assert t.texts == []
    assert not {"dead", "refused", "stopped"} & (await t.counts()).keys()
    assert t.gateway.left_lanes.count() == 1
    monkeypatch.setattr(records, "VERSION", VERSION + 1)  # a newer process takes it
    await settle(t.gateway)
    assert t.texts == ["ok"]
    assert await t.counts() == {"accepted": 1, "answered": 1, "sent": 1}


async def test_a_newer_session_history_or_receipt_leaves_its_lane_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = talk()
    client: Any = t.stores.backend
    await t.say("first")
    [session] = await client.redis.keys(f"{client.keys.prefix}session:*")
    [history] = await client.redis.keys(f"{client.keys.prefix}history:*")
    lane, turn = await route(t)
    await client.redis.hset(session, "min", VERSION + 1)
    await turn(lane)
    await client.redis.hdel(session, "min")
    last = json.loads(await client.redis.lindex(history, -1))
    await client.redis.lset(history, -1, json.dumps({**last, **NEWER}))
    await make_due(t.stores)
    await turn(lane)
    assert await t.asked() == ["first"]
    await client.redis.lset(history, -1, json.dumps(last))
    await make_due(t.stores)
    await turn(lane)
    [delivery] = await find_lanes(t, LaneKind.DELIVERY)
    lease = await t.stores.lanes.take(delivery, "newer", ttl=9, limit=9)
    assert isinstance(lease, Lease)
    receipt = json.dumps({"state": "sending", "tries": 1, **NEWER})
    effects = [Receipt(lease.items[0].id, 0, receipt)]
    await t.stores.lanes.commit(delivery, lease.token, 1, [], effects)
    await t.gateway.deliver(delivery)
    assert t.texts == ["ok"]
    monkeypatch.setattr(records, "VERSION", VERSION + 1)
    await settle(t.gateway)
    assert t.texts == ["ok", "ok"]
    assert await t.counts() == {"accepted": 2, "answered": 2, "sent": 2}


NOT_READ: list[Callable[[Any], Any]] = [
    lambda found: {**found, **NEWER},
    lambda found: {**found, "received_at": "yesterday"},
    lambda found: "not an object",
]


@pytest.mark.parametrize("coalesce", [False, True])
@pytest.mark.parametrize("spoil", NOT_READ, ids=["newer", "wrong type", "no object"])
@pytest.mark.parametrize("stage", [LaneKind.INBOUND, LaneKind.SESSION])
async def test_what_cannot_be_read_harms_no_message_before_it(
    stage: LaneKind, spoil: Callable[[Any], Any], coalesce: bool
) -> None:
    t = talk(memory={"coalesce": coalesce}, lanes={"max_strikes": 9})
    ids = [(await t.write(text)).id for text in ("one", "two", "three")]
    if stage is LaneKind.SESSION:
        await t.routed()
    await rewrite(t, ids[1], "body", spoil)
    verbs = {LaneKind.INBOUND: t.gateway.route, LaneKind.SESSION: t.gateway.turn}
    for kind, verb in [*verbs.items(), (LaneKind.DELIVERY, t.gateway.deliver)] * 3:
        await make_due(t.stores)
        for lane in await find_lanes(t, kind):
            await verb(lane)
    assert await t.asked() == ["one"]
    assert await t.counts() == {"accepted": 3, "answered": 1, "sent": 1}
    await rewrite(t, ids[1], "body", lambda _: json.loads(t.message("two").to_json()))
    await settle(t.gateway)
    assert (await t.counts())["answered"] == 3


async def test_a_malformed_message_of_the_history_is_left_out() -> None:
    t = talk()
    for text in ("one", "two"):
        await t.say(text)
    client: Any = t.stores.backend
    [history] = await client.redis.keys(f"{client.keys.prefix}history:*")
    await client.redis.lset(history, 0, "{")
    await client.redis.lset(history, 3, '{"role": "root"}')
    for text in ("three", "four"):
        assert await t.say(text) == ["ok"]
    said = [
        [message.content.rpartition("\n")[2] for message in request.messages]
        for request in t.provider.requests[2:]
    ]
    # A window begins with what a person said.
    assert said == [["two", "three"], ["two", "three", "ok", "four"]]
    assert await t.counts() == {"accepted": 4, "answered": 4, "sent": 4}


async def test_a_malformed_user_holds_up_nobody_else_in_the_chat() -> None:
    t = talk()
    room = {"channel_id": "room", "is_direct": False}
    await t.say("hello", "bob", **room)
    client: Any = t.stores.backend
    bob = await t.stores.users.find("memory", "bob")
    await client.redis.hset(client.keys.user(bob.id), "data", "{")
    for sender in ("ann", "bob", "cleo"):
        await t.write("and now", sender, **room)
    await settle(t.gateway)
    assert await t.counts() == {"accepted": 4, "answered": 3, "dead": 1, "sent": 3}


@pytest.mark.parametrize("bring", [receive, route, answer])
async def test_a_malformed_record_ends_after_a_few_tries(bring: Callable[[Talk], Any]) -> None:
    t = talk()
    lane, verb = await bring(t)
    [item] = await read_ids(t, lane)
    await rewrite(t, item, "body", lambda found: {**found, "channel_id": 7})
    for _ in range(t.settings.lanes.max_strikes):
        assert "dead" not in await t.counts()
        await verb(lane)
        await make_due(t.stores)
    await verb(lane)
    ended = {"answered": 1, "undelivered": 1} if bring is answer else {"dead": 1}
    assert await t.counts() == {"accepted": 1, **ended}
    assert not (await t.stores.lanes.status(lane)).waiting


@pytest.mark.parametrize("authenticated", [True, False])
async def test_who_is_known_is_told_that_their_message_was_given_up(
    authenticated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError

    t = talk(spec=ChannelSpec(authenticated=authenticated), users={"ann": {"role": "owner"}})
    monkeypatch.setattr("sigil.routing.session_key", fail)
    told = await t.say("hello")
    assert ["given up" in text for text in told] == [True] * authenticated
    assert await t.counts() == {"accepted": 1, "dead": 1} | ({"sent": 1} if authenticated else {})


async def test_the_fleet_hears_of_lanes_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_record, "REPORT_EVERY_S", 0.01)
    t = talk()
    lane, verb = await receive(t)
    await rewrite(t, (await read_ids(t, lane))[0], "body", lambda found: {**found, **NEWER})
    await verb(lane)
    keeper = RecordKeeper(t.settings, ["routing"])
    chore = asyncio.create_task(
        keeper.keep(t.stores.fleet, t.woken, count_left_lanes=t.gateway.left_lanes.count)
    )
    async with asyncio.timeout(5):
        while not (known := await t.stores.fleet.list()):
            await asyncio.sleep(0.01)
    chore.cancel()
    assert [(each.records, each.left_lanes) for each in known] == [(VERSION, 1)]
