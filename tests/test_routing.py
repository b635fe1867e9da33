"""Routing: who is refused, and what happens when a session takes no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sigil.channels.base import ChannelSpec
from sigil.identity.pairing import derive_user_id
from sigil.identity.users import Identity, User
from sigil.lanes.effects import Admit, Effect
from sigil.lanes.lane import LaneKind
from sigil.refusals import LANE_FULL_TEXT
from sigil.stores import Stores
from sigil.testing import fake_stores, settle
from tests.talking import Talk, talk

HOME = {"home": {"members": ["ann"], "bindings": [{"channel": "memory", "channel_id": "room"}]}}
ANN = {"ann": {"name": "Ann", "identities": ["memory:ann"]}}


# ---------------------------------------------------------------- who is refused


@pytest.mark.parametrize(("told", "sent"), [(None, []), ("Members only.", ["Members only."])])
async def test_strangers_meet_silence_or_the_channels_text(
    told: str | None, sent: list[str]
) -> None:
    t = talk(memory={"pairing": "closed", "refusal": told})
    assert await t.say("let me in") == sent
    assert t.provider.requests == []
    counts = await t.counts()
    assert (counts["accepted"], counts["refused"]) == (1, 1)


async def test_who_is_no_member_is_refused_and_a_member_is_answered() -> None:
    t = talk(users=ANN, workspaces=HOME, memory={"refusal": "Not here."})
    assert await t.say("hi", "bob", channel_id="room") == ["Not here."]
    assert await t.say("hi", "ann", channel_id="room") == ["ok"]
    audit = " ".join(await t.stores.audit.recent())
    assert "workspace.not_a_member" in audit


# ---------------------------------------------------------------- who is new


class Lanes:
    """Delegates; awaits `before_commit` before each commit."""

    def __init__(self, stores: Stores, before_commit: Callable[[], Awaitable[Any]]) -> None:
        self._lanes, self._before_commit = stores.lanes, before_commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes, name)

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        await self._before_commit()
        return await self._lanes.commit(*args, **kwargs)


def router(t: Talk, before_commit: Callable[[], Awaitable[Any]]) -> Talk:
    return talk(stores=replace(t.stores, lanes=Lanes(t.stores, before_commit)))


async def test_a_person_who_is_new_in_two_chats_at_once_is_one_user() -> None:
    t = talk()
    for chat in ("here", "there"):
        await t.write(f"hi {chat}", "ann", channel_id=chat, sender_name=f"Ann from {chat}")
    both_have_decided = asyncio.Barrier(2)
    await asyncio.gather(
        *(router(t, both_have_decided.wait).gateway.route(lane) for lane in t.woken.lanes)
    )
    await settle(t.gateway)
    _, user = await t.stores.users.all()
    assert user.id == derive_user_id(Identity("memory", "ann"))
    assert await t.stores.users.find_paired("memory", "ann") == (user, user.id)
    assert t.texts == ["ok", "ok"]


async def test_who_writes_several_messages_at_once_is_looked_up_and_let_in_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores = fake_stores()
    t = talk(stores=stores)
    find, commit = stores.users.find_paired, stores.lanes.commit
    looked_up: list[str] = []
    committed: list[Effect] = []

    async def note_sender(channel: str, platform_id: str, entry: str) -> Any:
        looked_up.append(platform_id)
        return await find(channel, platform_id, entry)

    async def note_effects(
        lane: str, token: int, n: int, done: Any, effects: Any, **more: Any
    ) -> Any:
        committed.extend(effects)
        return await commit(lane, token, n, done, effects, **more)

    monkeypatch.setattr(stores.users, "find_paired", note_sender)
    monkeypatch.setattr(stores.lanes, "commit", note_effects)
    for sender in ("ann", "ann", "bob", "ann"):
        await t.write("hi", sender, channel_id="one", is_direct=False)
    await t.route_all()
    assert looked_up == ["ann", "bob"]
    let_in = [effect.user.name for effect in committed if isinstance(effect, Admit)]
    assert let_in == ["ann", "bob"]
    await settle(t.gateway)
    assert len(t.texts) == 4


async def test_who_became_somebody_meanwhile_is_routed_as_that_user() -> None:
    t = talk()
    await t.write("hi", "ann")
    ann = User("usr-ann", "Ann", identities=(Identity("memory", "ann"),))
    worker = router(t, lambda: t.stores.users.add(ann))
    await worker.gateway.route(t.woken.last(LaneKind.INBOUND))
    assert (await t.stores.users.all())[1:] == [ann], "besides the owner"
    assert await t.stores.users.find_paired("memory", "ann") == (ann, "usr-ann")
    await settle(t.gateway)
    assert t.texts == ["ok"]
    assert await t.stores.budgets.read_usage("user", "usr-ann", f"{datetime.now(UTC):%Y-%m-%d}")


# ---------------------------------------------------------------- full lanes


async def test_one_notice_per_episode_of_a_full_lane() -> None:
    t = talk(lanes={"cap": 2})
    for i in range(5):
        await t.write(str(i))
    session = await t.routed()
    await t.gateway.deliver(t.woken.last(LaneKind.DELIVERY))
    assert t.texts == [LANE_FULL_TEXT.format(cap=2)]
    await t.write("5")
    await t.routed()
    assert (await t.counts())["refused"] == 4
    await t.gateway.turn(session)
    await settle(t.gateway)
    assert await t.asked() == ["0", "1"]
    for i in range(3):
        await t.write(f"again {i}")
    await t.routed()
    await settle(t.gateway)
    assert t.texts.count(LANE_FULL_TEXT.format(cap=2)) == 2
    assert await t.counts() == {"accepted": 9, "answered": 4, "refused": 5, "sent": 6}


async def test_a_crowd_at_a_full_lane_is_told_once_however_often_a_place_is_freed() -> None:
    lanes = {"cap": 2, "items_per_lease": 1}
    t = talk(lanes=lanes, spec=ChannelSpec(live=True))
    for number in range(12):
        await t.write(str(number))
        if number % 3 == 2:
            await t.gateway.turn(await t.routed())
        await t.route_all()
    await settle(t.gateway)
    assert t.texts.count(LANE_FULL_TEXT.format(cap=2)) == 1
    counts = await t.counts()
    events = [event.data for event in await t.stores.chats.read("memory:ann")]
    marked = [event["message_id"] for event in events if event["type"] == "refused"]
    written = [event["message_id"] for event in events if event["type"] == "user"]
    answered = [f"m{int(text) + 1}" for text in await t.asked()]
    assert len(marked) == counts["refused"] > 2
    assert sorted([*marked, *answered]) == sorted(written)


async def test_another_chat_of_a_full_conversation_is_told_too() -> None:
    t = talk(lanes={"cap": 1})
    for chat in ("here", "here", "here", "there", "there"):
        await t.write("hi", channel_id=chat)
        await t.route_all()
    await settle(t.gateway)
    full = LANE_FULL_TEXT.format(cap=1)
    told = [message.channel_id for message in t.channel.sent if message.content == full]
    assert sorted(told) == ["here", "there"]


async def test_a_full_lane_does_not_keep_out_a_stop() -> None:
    t = talk(lanes={"cap": 1})
    for text in ("one", "two", "/stop"):
        await t.write(text)
    await t.routed()
    await settle(t.gateway)
    dropped = "Stopped. 1 waiting message was dropped."
    assert t.texts == [LANE_FULL_TEXT.format(cap=1), dropped]
    assert await t.counts() == {
        "accepted": 3,
        "answered": 1,
        "refused": 1,
        "stopped": 1,
        "sent": 2,
    }


# ---------------------------------------------------------------- coalescing
