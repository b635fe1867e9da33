"""Which messages one turn answers."""

from __future__ import annotations

from typing import Any

from sigil.lanes.lane import Refusal
from sigil.testing import (
    settle,
)
from tests.talking import Talk, talk

HOME = {"home": {"members": ["ann"], "bindings": [{"channel": "memory", "channel_id": "room"}]}}


# ---------------------------------------------------------------- coalescing


def quick(**more: Any) -> Talk:
    return talk(memory={"coalesce": True}, **more)


async def test_rapid_messages_are_one_turn() -> None:
    t = quick()
    for text in ("one", "two", "three"):
        await t.write(text)
    session = await t.routed()
    held = await t.stores.lanes.take(session, "n", ttl=9, limit=9)
    assert held is Refusal.QUIET
    await settle(t.gateway)
    assert await t.asked() == ["one\ntwo\nthree"]
    assert t.texts == ["ok"]
    assert await t.counts() == {"accepted": 3, "answered": 3, "sent": 1}


async def test_without_coalescing_each_is_its_own_turn() -> None:
    t = talk()
    for text in ("one", "two"):
        await t.write(text)
    await settle(t.gateway)
    assert await t.asked() == ["one", "two"]


async def test_commands_are_never_joined() -> None:
    t = quick()
    for text in ("one", "/help", "two", "/new", "three", "four"):
        await t.write(text)
    await settle(t.gateway)
    assert await t.asked() == ["one\ntwo", "three\nfour"]
    assert sorted(text[:5] for text in t.texts) == ["**/he", "A fre", "ok", "ok"]


async def test_senders_and_chats_are_never_joined() -> None:
    people = {name: {"identities": [f"memory:{name}"]} for name in ("ann", "bob")}
    room = {"home": {**HOME["home"], "members": ["ann", "bob"]}}
    t = quick(users=people, workspaces=room)
    for sender, text in (("ann", "1"), ("ann", "2"), ("bob", "3"), ("ann", "4")):
        await t.write(text, sender, channel_id="room", is_direct=False)
    await settle(t.gateway)
    assert await t.asked() == ["1\n2", "3", "4"]
    t = quick(users=people)
    for chat, text in (("here", "1"), ("there", "2"), ("there", "3")):
        await t.write(text, "ann", channel_id=chat)
        await t.routed()
    await settle(t.gateway)
    assert await t.asked() == ["1", "2\n3"]
