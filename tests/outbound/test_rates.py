"""The pauses that a platform wants between messages."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.channels.base import ChannelSpec, Pace
from sigil.channels.paces import SHORT_WAIT_S
from sigil.lanes.lane import LaneKind, Refusal
from sigil.messages.exchange import OutboundMessage
from sigil.stores import Stores
from sigil.testing import make_due, settle
from tests.talking import Talk, another_worker, talk


async def pass_time(stores: Stores, seconds: float, entry: str = "memory") -> None:
    """Lets so much time pass for the paces of an account and its chats."""
    client: Any = stores.backend
    keys = [client.keys.account_pace(entry)]
    prefix = client.keys.chat_pace(entry, "")
    keys += [key async for key in client.redis.scan_iter(match=f"{prefix}*")]
    for key in keys:
        for field in ("next", "slot"):
            value = int(await client.redis.hget(key, field) or 0)
            if value:
                await client.redis.hset(key, field, value - round(1000 * seconds))


# ---------------------------------------------------------------- the store


async def test_a_chat_waits_for_its_pause_and_another_does_not(stores: Stores) -> None:
    async def turn(chat: str) -> float:
        return (await stores.paces.take_turn("a", chat, chat_s=3, account_s=0)).seconds

    assert await turn("x") == 0
    assert 2.5 < await turn("x") <= 3
    assert await turn("y") == 0
    await pass_time(stores, 3, "a")
    assert await turn("x") == 0


async def test_each_chat_has_one_place_in_the_row_of_its_account(stores: Stores) -> None:
    async def turn(chat: str) -> float:
        return (await stores.paces.take_turn("a", chat, chat_s=0, account_s=10)).seconds

    assert await turn("busy") == 0
    waits = [round(await turn(chat)) for chat in ("busy", "busy", "x", "busy", "y", "x")]
    assert waits == [10, 10, 20, 10, 30, 20]
    await pass_time(stores, 10, "a")
    assert await turn("busy") <= SHORT_WAIT_S
    assert round(await turn("busy")) == 30, "behind those that wait already"
    assert round(await turn("x")) == 10
    # Another account has a row of its own.
    assert (await stores.paces.take_turn("b", "x", chat_s=0, account_s=10)).seconds == 0


async def test_who_comes_late_for_its_place_gets_a_new_one(stores: Stores) -> None:
    async def turn(chat: str) -> float:
        return (await stores.paces.take_turn("a", chat, chat_s=0, account_s=10)).seconds

    for chat in "xyz":
        await turn(chat)
    await pass_time(stores, 100, "a")
    waits = sorted([round(await turn(chat)) for chat in "xyz"])
    assert waits == [0, 10, 20], "three at once would be too quick"


async def test_a_short_wait_is_granted_and_taken(stores: Stores) -> None:
    async def turn() -> float:
        return (await stores.paces.take_turn("a", "x", chat_s=0.04, account_s=0)).seconds

    waits = [await turn() for _ in range(2)]
    assert all(wait <= SHORT_WAIT_S for wait in waits)
    assert await turn() > waits[1], "the time before was taken"


# ---------------------------------------------------------------- the lanes


def paced(**pace: float) -> Talk:
    return talk(spec=ChannelSpec(pace=Pace(**pace)))


async def push(t: Talk, chat: str, *texts: str, is_direct: bool = True) -> str:
    for text in texts:
        message = OutboundMessage("memory", chat, text, is_direct=is_direct)
        await t.gateway.notify(message)
    return t.woken.last(LaneKind.DELIVERY)


async def test_a_lane_that_waits_is_parked_and_nothing_is_counted_against_it() -> None:
    t = paced(chat=30.0)
    lane = await push(t, "ann", "one", "two")
    await t.gateway.deliver(lane)
    assert t.texts == ["one"]
    assert await t.stores.lanes.take(lane, "n", ttl=9, limit=9) is Refusal.PARKED
    for _ in range(9):  # early, and often
        await make_due(t.stores)
        await t.gateway.deliver(lane)
    assert t.texts == ["one"]
    await pass_time(t.stores, 31)
    await make_due(t.stores)
    await another_worker(t).gateway.deliver(lane)
    assert t.texts == ["one", "two"]
    assert not await t.stores.messages.dead()


async def test_groups_have_a_pause_of_their_own() -> None:
    t = paced(chat=0.0, group=30.0)
    await t.gateway.deliver(await push(t, "ann", "one", "two"))
    await t.gateway.deliver(await push(t, "room", "three", "four", is_direct=False))
    assert t.texts == ["one", "two", "three"]


async def test_the_parts_of_a_message_keep_the_pause_and_go_out_once() -> None:
    t = talk(spec=ChannelSpec(text_limit=200, pace=Pace(chat=30.0)))
    lane = await push(t, "ann", "\n\n".join(f"part {n} " + "word " * 30 for n in range(3)))
    for sent in (1, 2, 3):
        await t.gateway.deliver(lane)
        assert [chunk.index for chunk in t.channel.chunks] == list(range(sent))
        await pass_time(t.stores, 31)
        await make_due(t.stores)
    await settle(t.gateway)
    assert not await t.stores.messages.dead()


async def test_an_account_that_rests_is_found_by_the_same_script(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = paced(account=0.001)
    await t.stores.account_rests.begin("memory", "limited", "flood", seconds=30)
    lane = await push(t, "ann", "one")
    client: Any = t.stores.backend
    run, ran = client.run_script, []

    async def count(name: str, *args: Any, **kwargs: Any) -> Any:
        ran.append(name)
        return await run(name, *args, **kwargs)

    monkeypatch.setattr(client, "run_script", count)
    await t.gateway.deliver(lane)
    assert (t.texts, ran) == ([], ["take", "take_turn", "park"])
