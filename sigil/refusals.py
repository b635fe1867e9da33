"""What becomes of a message that is not taken: its end, and what its sender is told.

not admitted, no member        the account's `refusal`, if it has one   (routing's commit)
the session is full            LANE_FULL_TEXT, once per episode         (routing's commit)
it failed too often            GIVEN_UP_TEXT, and a dead letter         (routing's commit)
the sender writes too much     OVER_LIMIT_TEXT, once per episode        (said by the gateway)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sigil.channels.live import refused_event, show_event
from sigil.errors import ChannelNotFound, MessageInvalid
from sigil.lanes.effects import (
    Audit,
    DeadLetter,
    Effect,
    Finish,
    Notice,
    Outcome,
    Stage,
    encode_audit_entry,
)
from sigil.lanes.replies import Replies
from sigil.messages.exchange import InboundMessage

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter
    from sigil.directory import Directory
    from sigil.errors import LaneFull
    from sigil.lanes.lane import Item
    from sigil.stores.base import Stores

LANE_FULL_TEXT = (
    "This conversation is full ({cap} waiting), so I did not take your message, and I take no "
    "more until I have caught up. Please send it again then, or send /stop to drop what waits."
)
GIVEN_UP_TEXT = "I failed several times to read this message and have given up on it."
OVER_LIMIT_TEXT = (
    "You write more than I can read ({rate} messages a minute), so I did not take your message, "
    "and I take no more until I have caught up. Please send it again in a minute."
)


class Refusals:
    """Refuses messages."""

    def __init__(self, stores: Stores, channels: ChannelRouter) -> None:
        self._stores = stores
        self._channels = channels
        self._replies = Replies(stores.lanes)

    async def refuse(
        self, item_id: str, message: InboundMessage, reason: str, text: str | None
    ) -> list[Effect]:
        """The effects that end a message as refused, and say `text`."""
        effects: list[Effect] = [Finish(item_id, Outcome.REFUSED), _audit(item_id, reason)]
        if text:
            effects.append(await self._replies.push_notice(message, text, item_id))
        return effects

    async def refuse_full(self, item: Item, full: LaneFull, directory: Directory) -> list[Effect]:
        """The session takes no more. Its chat is told once per episode; where people watch the
        chat, each message that was not taken is marked."""
        message = InboundMessage.from_record(item.fields)
        place = message.channel_type, message.account, message.channel_id
        chat = await self._stores.lanes.item_id("notice", *place)
        text = None if full.noticed == chat else LANE_FULL_TEXT.format(cap=directory.lanes.cap)
        effects = await self.refuse(item.id, message, full.code, text)
        if text:
            effects.append(Notice(full.lane, chat))
        if self._channels.spec_of(message).live:
            event = refused_event(message.message_id)
            effects.append(show_event(message, f"{item.id}.refused", event))
        return effects

    async def give_up(self, item: Item) -> list[Effect]:
        """The effects that dead-letter a message that could not be routed. The person is told
        where the channel knows who they are: elsewhere they may be somebody who is not to be
        heard."""
        effects: list[Effect] = [
            Finish(item.id, Outcome.DEAD, keep_body=True),
            DeadLetter(item.id, Stage.ROUTE, "the message could not be routed"),
        ]
        with contextlib.suppress(MessageInvalid, ChannelNotFound):
            message = InboundMessage.from_record(item.fields)
            if self._channels.spec_of(message).authenticated:
                effects.append(await self._replies.push_notice(message, GIVEN_UP_TEXT, item.id))
        return effects

    async def mark_over_limit(self, item_id: str, message: InboundMessage) -> None:
        """Marks a message that has ended at the gate, where people watch its chat. Raises
        `StoreError`."""
        if self._channels.spec_of(message).live:
            event = refused_event(message.message_id)
            show = show_event(message, f"{item_id}.refused", event)
            await self._stores.chats.show(show.chat, show.event_id, event)

    async def tell_over_limit(
        self, item_id: str, message: InboundMessage, directory: Directory
    ) -> tuple[str, ...]:
        """Tells a sender that they write too much; returns the lanes to wake. Raises
        `StoreError`."""
        text = OVER_LIMIT_TEXT.format(rate=directory.limits.messages_per_minute)
        notice = await self._replies.push_notice(message, text, item_id)
        audit = _audit(item_id, "limit.messages_per_minute")
        return (await self._stores.lanes.push(notice, [audit])).wake


def _audit(item_id: str, reason: str) -> Audit:
    return Audit(encode_audit_entry("refused", message=item_id, why=reason))
