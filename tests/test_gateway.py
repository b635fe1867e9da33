"""The path of a message: received once, routed or refused, joined where it should be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import structlog

from sigil.errors import ChannelNotFound, ConfigError
from sigil.lanes.effects import Stage
from sigil.lanes.lane import LaneKind, lane_kind
from sigil.messages.exchange import OutboundMessage
from sigil.money.store import Limit
from sigil.stores import Stores
from sigil.testing import (
    ScriptedProvider,
    make_due,
    settle,
)
from tests.talking import another_worker, talk

HOME = {"home": {"members": ["ann"], "bindings": [{"channel": "memory", "channel_id": "room"}]}}
ANN = {"ann": {"name": "Ann", "identities": ["memory:ann"]}}


# ---------------------------------------------------------------- the path


async def test_a_message_is_answered_over_both_kinds_of_store(stores: Stores) -> None:
    t = talk(stores=stores)
    assert await t.say("hello") == ["ok"]
    assert await t.asked() == ["hello"]
    assert await t.counts() == {"accepted": 1, "answered": 1, "sent": 1}
    await t.gateway.close()


async def test_each_step_wakes_the_next_and_does_no_more() -> None:
    t = talk()
    await t.write("hello")
    assert [lane_kind(lane) for lane in t.woken.lanes] == [LaneKind.INBOUND]
    await t.gateway.route(t.woken.last(LaneKind.INBOUND))
    assert lane_kind(t.woken.lanes[-1]) is LaneKind.SESSION
    assert t.provider.requests == []
    await t.gateway.turn(t.woken.last(LaneKind.SESSION))
    assert lane_kind(t.woken.lanes[-1]) is LaneKind.DELIVERY
    assert t.texts == []
    await t.gateway.deliver(t.woken.last(LaneKind.DELIVERY))
    assert t.texts == ["ok"]
    assert len(t.woken.lanes) == 3


async def test_lane_keys_and_ids_tell_nothing_about_people() -> None:
    t = talk()
    accepted = await t.write("secret words", sender="ann-the-sender")
    await settle(t.gateway)
    seen = " ".join(t.woken.lanes) + accepted.id
    assert "ann-" not in seen
    assert "secret" not in seen


async def test_wakeups_that_are_lost_doubled_or_late_change_nothing() -> None:
    t = talk()
    await t.write("hello")
    lane = t.woken.last(LaneKind.INBOUND)
    for _ in range(3):
        await asyncio.gather(*(t.gateway.route(lane) for _ in range(4)))
        session = t.woken.last(LaneKind.SESSION)
        await asyncio.gather(*(t.gateway.turn(session) for _ in range(4)))
    await settle(t.gateway)
    await t.gateway.turn(session)
    assert t.texts == ["ok"]
    assert len(t.provider.requests) == 1


async def test_an_update_that_comes_twice_is_one_message() -> None:
    t = talk()
    message = t.message("hello")
    first = await t.gateway.receive(message)
    again = await t.gateway.receive(replace(message, content="edited"))
    assert (first.duplicate, again.duplicate) == (False, True)
    assert first.id == again.id
    await settle(t.gateway)
    late = await t.gateway.receive(message)
    assert late.duplicate
    await settle(t.gateway)
    assert t.texts == ["ok"]
    assert await t.counts() == {"accepted": 1, "duplicate": 2, "answered": 1, "sent": 1}


@pytest.mark.parametrize("field", ["account", "channel_id", "message_id", "revision"])
async def test_what_differs_in_its_place_is_another_message(field: str) -> None:
    t = talk(accounts=["other"])
    message = t.message("hello", kind="edit")
    await t.gateway.receive(message)
    other: dict[str, Any] = {field: "other"}
    assert not (await t.gateway.receive(replace(message, **other))).duplicate


async def test_messages_of_one_chat_are_answered_in_order() -> None:
    t = talk(provider=ScriptedProvider([f"answer {i}" for i in range(25)]), lanes={"cap": 100})
    for i in range(25):
        await t.write(f"question {i}")
    await settle(t.gateway)
    assert await t.asked() == [f"question {i}" for i in range(25)]
    assert t.texts == [f"answer {i}" for i in range(25)]


async def test_a_notification_is_sent_once() -> None:
    t = talk()
    await t.gateway.notify(OutboundMessage("memory", "ann", "The tea is ready."))
    await settle(t.gateway)
    assert t.texts == ["The tea is ready."]
    with pytest.raises(ChannelNotFound):
        await t.gateway.notify(OutboundMessage("nowhere", "ann", "x"))


async def test_recover_wakes_what_is_due_and_says_when_the_next_one_is() -> None:
    t = talk()
    assert await t.gateway.recover() is None
    await t.write("hello")
    t.woken.lanes.clear()  # the wake-up is lost
    due = await t.gateway.recover()
    assert due is not None
    assert 0 < due <= 1.5
    assert t.woken.lanes == []
    await make_due(t.stores)
    await t.gateway.recover()
    assert [lane_kind(lane) for lane in t.woken.lanes] == [LaneKind.INBOUND]


async def test_recover_sweeps_whatever_else_fails_and_says_so_once() -> None:
    t = talk()
    await t.write("hello")
    client: Any = t.stores.backend
    await client.redis.set(client.keys.budget_holds(), "not what it should be")
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            t.woken.lanes.clear()
            await make_due(t.stores)
            await t.gateway.recover()
            assert [lane_kind(lane) for lane in t.woken.lanes] == [LaneKind.INBOUND]
    failures = [each["part"] for each in logs if each["event"] == "a part of the recovery failed"]
    assert failures == ["expire_holds"]
    (problem,) = (await t.stores.lanes.verify())["problems"]
    assert problem == "sigil:budget-holds is a string: rename it, and it is made anew"


async def test_recover_brings_back_what_nobody_would_find_and_names_what_it_cannot() -> None:
    t = talk()
    await t.write("hello", "ann")
    await t.write("hello", "bob")
    lost, broken = t.woken.lanes
    client: Any = t.stores.backend
    await client.redis.zrem(client.keys.due(), lost)
    await make_due(t.stores)
    await client.redis.set(client.keys.lane(broken), "not what it should be")
    with structlog.testing.capture_logs() as logs:
        await t.gateway.recover()
    told = {each["lane"]: each["event"] for each in logs}
    assert told == {
        lost: "lane put back into the index of due lanes",
        broken: "lane put into quarantine",
    }
    t.woken.lanes.clear()
    await t.gateway.recover()
    assert t.woken.lanes == [lost]


async def test_recover_settles_what_workers_that_died_had_reserved() -> None:
    t = talk()
    limits = [Limit("all", "", 100, None)]
    await t.stores.budgets.reserve("1", limits, 10, 10, ttl=0)
    await t.gateway.recover()
    spending = await t.stores.budgets.read_spending(limits)
    assert [(each.spent, each.reserved) for each in spending] == [(10, 0)] * 2


async def test_recover_is_silent_for_workers_that_are_behind() -> None:
    t = talk()
    await t.write("hello")
    t.woken.lanes.clear()
    t.woken.backlogs = {Stage.ROUTE: 65, Stage.TURN: 65}
    await make_due(t.stores)
    await t.gateway.recover()
    assert t.woken.lanes == []
    t.woken.backlogs[Stage.ROUTE] = 64
    await make_due(t.stores)
    await t.gateway.recover()
    assert [lane_kind(lane) for lane in t.woken.lanes] == [LaneKind.INBOUND]


async def test_a_hot_lane_gives_way_after_its_share() -> None:
    t = talk(lanes={"items_per_lease": 3})
    for i in range(5):
        await t.write(str(i))
    lane = await t.routed()
    t.woken.lanes.clear()
    await t.gateway.turn(lane)
    assert len(t.provider.requests) == 3
    assert lane in t.woken.lanes
    t = talk(lanes={"seconds_per_lease": 1e-9})
    for i in range(3):
        await t.write(str(i))
    lane = await t.routed()
    await t.gateway.turn(lane)
    assert len(t.provider.requests) == 1


# ---------------------------------------------------------------- who is refused


async def test_a_channel_that_is_not_configured_is_an_error_and_stores_nothing() -> None:
    t = talk()
    with pytest.raises(ChannelNotFound):
        await t.gateway.receive(replace(t.message("x"), channel_type="nowhere"))
    assert await t.counts() == {}


async def test_membership_that_ends_while_the_message_waits_counts() -> None:
    t = talk(users=ANN, workspaces=HOME, memory={"refusal": "Not any more."})
    await t.write("hi", channel_id="room")
    session = await t.routed()
    without = {"home": {**HOME["home"], "members": []}}
    later = another_worker(t, workspaces=without)
    await later.gateway.turn(session)
    await settle(later.gateway)
    assert t.texts == ["Not any more."]
    assert t.provider.requests == []
    assert (await t.counts())["refused"] == 1


async def test_a_chat_that_was_given_to_another_workspace_does_not_take_its_words_along() -> None:
    t = talk(users=ANN, workspaces=HOME)
    await t.write("hi", channel_id="room")
    session = await t.routed()
    later = another_worker(t, workspaces={"office": HOME["home"], "home": {"members": ["ann"]}})
    await later.gateway.turn(session)
    assert t.provider.requests == []
    assert (await t.counts())["refused"] == 1


# ---------------------------------------------------------------- coalescing


async def test_each_step_logs_ids_and_no_words() -> None:
    t = talk()
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        accepted = await t.write("a secret thought")
        await settle(t.gateway)
    by_event = {line["event"]: line for line in lines}
    routed, ended = by_event["message routed"], by_event["turn ended"]
    assert by_event["message accepted"]["message_id"] == accepted.id == routed["message_id"]
    assert ended["message_id"] == accepted.id
    assert ended["session_id"] == routed["session_id"]
    assert by_event["message sent"]["turn_id"] == ended["turn_id"]
    assert "thought" not in str(lines)


async def test_a_model_that_cannot_be_made_touches_no_message() -> None:
    t = talk(models={"default": "nowhere/x"})
    await t.write("hello")
    with pytest.raises(ConfigError, match="nowhere"):
        await settle(t.gateway)
