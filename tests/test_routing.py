"""Routing: who is refused, and what happens when a session takes no more."""

from __future__ import annotations

import pytest

from sigil.lanes.lane import LaneKind
from sigil.routing import LANE_FULL_TEXT
from sigil.testing import (
    settle,
)
from tests.talking import talk

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


async def test_a_full_lane_does_not_keep_out_a_stop() -> None:
    t = talk(lanes={"cap": 1})
    for text in ("one", "two", "/stop"):
        await t.write(text)
    await t.routed()
    await settle(t.gateway)
    assert t.texts == [LANE_FULL_TEXT.format(cap=1), "Stopped."]
    assert await t.counts() == {
        "accepted": 3,
        "answered": 1,
        "refused": 1,
        "stopped": 1,
        "sent": 2,
    }


# ---------------------------------------------------------------- coalescing
