"""Replies: where they go, and ids that a second attempt repeats."""

from __future__ import annotations

from dataclasses import replace

from sigil.lanes.lane import LaneKind, lane_kind
from sigil.lanes.replies import Replies, make_reply
from sigil.messages.exchange import InboundMessage, OutboundMessage
from sigil.stores import Stores

INBOUND = InboundMessage(
    "telegram", "-100", "m1", "ann", "hello", account="family", thread_id="7", is_direct=False
)


def test_a_reply_goes_to_where_the_message_came_from() -> None:
    assert make_reply(INBOUND, "hi") == OutboundMessage(
        "telegram",
        "-100",
        "hi",
        thread_id="7",
        account="family",
        reply_to="m1",
        answers=("m1",),
        is_direct=False,
    )
    assert make_reply(INBOUND, "hi", answers=()).answers == ()


def test_an_answer_refers_to_a_message_in_groups_only() -> None:
    assert make_reply(replace(INBOUND, is_direct=True), "hi").reply_to is None
    pressed = replace(INBOUND, kind="action", message_id="press-1", reply_to="m0")
    assert make_reply(pressed, "hi").reply_to == "m0"


async def test_the_same_cause_makes_the_same_push(stores: Stores) -> None:
    replies = Replies(stores.lanes)
    first = await replies.push_reply(INBOUND, "hi", "a-turn")
    again = await replies.push_notice(INBOUND, "hi again", "a-turn")
    assert (again.id, again.lane) == (first.id, first.lane)
    assert lane_kind(first.lane) is LaneKind.DELIVERY
    assert OutboundMessage.from_record(again.fields).content == "hi again"
    assert (first.fields["turn"], again.fields["turn"]) == ("a-turn", "")


async def test_another_cause_position_or_destination_is_another_push(stores: Stores) -> None:
    replies = Replies(stores.lanes)
    message = make_reply(INBOUND, "hi")
    ids = {
        (await replies.push_message(message, cause, position)).id
        for cause in ("one", "two")
        for position in (0, 1)
    }
    assert len(ids) == 4
    elsewhere = make_reply(INBOUND, "hi")
    lanes = {
        (await replies.push_message(each, "one")).lane
        for each in (
            message,
            OutboundMessage("telegram", "-100", "hi", thread_id="8", account="family"),
            OutboundMessage("telegram", "-100", "hi", thread_id="7"),
            elsewhere,
        )
    }
    assert len(lanes) == 3
