"""One destination's lane: fit each message to its channel, send it chunk by chunk, and keep
a receipt per chunk.

    message ─▶ has its chat moved? ─▶ chunks ─▶ sent, one by one ─▶ Delivered
                     │                               │
                     └ the lane goes there           ├ later: the lane rests
                                                     ├ never: a dead letter, and the next message
                                                     └ the chat is closed: all of the lane
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from sigil.channels.base import EditsMessages
from sigil.errors import ChannelNotFound, ChatMoved
from sigil.lanes.effects import DeadLetter, Delivered, Effect, Move, Stage
from sigil.messages.exchange import OutboundMessage
from sigil.outbound.chunks import make_chunks
from sigil.outbound.long_answers import shorten
from sigil.outbound.moves import find_lane, leads_back, note_move
from sigil.outbound.receipts import list_platform_ids
from sigil.outbound.sending import Retry, Sending, Undeliverable
from sigil.outbound.showing import BUSY_S, find_draft_kind, read_replaced

if TYPE_CHECKING:
    from sigil.channels.base import Chunk
    from sigil.channels.router import ChannelRouter, Entry
    from sigil.directory import Directory
    from sigil.lanes.held import Held
    from sigil.lanes.lane import Item
    from sigil.stores.base import Stores

log = structlog.get_logger(__name__)

# A draft that is on its way has arrived, mostly, when its turn's answer is looked at again.
LOOK_AGAIN_S = 0.3
# A text with more characters is rendered in a thread, since it takes so long.
LONG_TEXT = 10_000


class Delivery:
    """Delivers the items of a lane that the gateway holds."""

    def __init__(self, channels: ChannelRouter, stores: Stores) -> None:
        self._channels = channels
        self._stores = stores

    async def handle(self, held: Held, directory: Directory) -> None:
        """Sends the message at the head and removes it. Raises `Retry`, `LeaseLost`; and
        `MessageInvalid` or `RecordTooNew` for a message that cannot be read."""
        item = held.items[0]
        message = OutboundMessage.from_record(item.fields)
        chat = directory.find_chat(message.entry, message.channel_id)
        if chat != message.channel_id:
            # A message of the old chat means nothing to the new one.
            message = replace(message, channel_id=chat, reply_to=None)
            if await self._move_lane(held, message):
                return
        sending: Sending | None = None
        try:
            entry = self._channels.find(message.channel_type, message.account)
            sending = self._begin(held, entry, directory)
            replaces = await self._find_replaced(entry, item, message)
            for chunk in await self._make_chunks(entry, directory, item, message, replaces):
                await sending.send(chunk)
        except ChatMoved as error:
            await self._follow(held, directory, message, error)
        except (ChannelNotFound, Undeliverable) as error:
            receipts = [] if sending is None else sending.receipts
            await self._bury(held, str(error), receipts, closes_chat=_closes_chat(error))
        else:
            await held.finish([item], [*sending.receipts, Delivered(item.id)])
            log.info("message sent", message_id=item.id, turn_id=item.fields.get("turn"))

    async def give_up(self, held: Held) -> tuple[Sequence[Item], list[Effect]]:
        """The item to be dead-lettered, and the effects that do it."""
        return held.items[:1], _bury_item(held.items[0], "sending it failed too often")

    def _begin(self, held: Held, entry: Entry, directory: Directory) -> Sending:
        holds_unknown = directory.account(entry.name).holds_unknown
        return Sending(
            held, entry.name, entry.spec, entry.sender, self._stores, holds_unknown=holds_unknown
        )

    async def _make_chunks(
        self,
        entry: Entry,
        directory: Directory,
        item: Item,
        message: OutboundMessage,
        replaces: str | None,
    ) -> list[Chunk]:
        longest = directory.account(entry.name).long_as_file
        if longest is not None:
            message = await shorten(message, entry.spec, longest, self._stores.blobs)
        if len(message.content) > LONG_TEXT:
            return await asyncio.to_thread(make_chunks, item, message, entry.spec, replaces)
        return make_chunks(item, message, entry.spec, replaces)

    async def _find_replaced(
        self, entry: Entry, item: Item, message: OutboundMessage
    ) -> str | None:
        """The platform's message whose place this one takes: that of the turn's draft, or of the
        message that it edits; the last part, since that has the buttons. Raises `Retry` while a
        draft of the turn may be on its way."""
        turn, shown = item.fields.get("turn"), None
        if turn and find_draft_kind(entry.spec, is_direct=message.is_direct) != "none":
            end = await self._stores.presences.end(turn)
            # It is longer only if the server's clock has stepped back.
            if 0 < end.seconds <= BUSY_S:
                raise Retry(min(end.seconds, LOOK_AGAIN_S))
            shown = read_replaced(end.shown)
        if not isinstance(entry.sender, EditsMessages):
            return None
        if shown is not None or message.edits is None:
            return shown
        record = await self._stores.messages.get(message.edits)
        platform_ids = list_platform_ids(record or {})
        return platform_ids[-1] if platform_ids else None

    async def _bury(
        self, held: Held, reason: str, receipts: Sequence[Effect], *, closes_chat: bool
    ) -> None:
        """Gives up the head; with `closes_chat` all that is in hand, since no message to that chat
        would fare better. What lies behind that is tried, once for each time the lane is taken."""
        items = held.items if closes_chat else held.items[:1]
        for item in items:
            log.warning("message not delivered", message_id=item.id, reason=reason)
        buried = [effect for item in items for effect in _bury_item(item, reason)]
        await held.finish(items, [*receipts, *buried])

    # ------------------------------------------------------------ chats that have moved

    async def _move_lane(self, held: Held, message: OutboundMessage) -> bool:
        """Moves all that waits in this lane to that of the message's chat, unless it is that."""
        lane = await find_lane(self._stores.lanes, message)
        if lane == held.lane:
            return False
        await held.commit(effects=[Move(held.lane, lane)])
        log.info("lane moved to the chat's new id", target=lane)
        return True

    async def _follow(
        self, held: Held, directory: Directory, message: OutboundMessage, moved: ChatMoved
    ) -> None:
        """The platform says that the chat has another id by now."""
        if leads_back(directory, message.entry, message.channel_id, moved.channel_id):
            await self._bury(held, str(moved), [], closes_chat=True)
            return
        await note_move(
            self._stores.directory, directory, message.entry, message.channel_id, moved.channel_id
        )
        target = replace(message, channel_id=moved.channel_id)
        if not await self._move_lane(held, target):
            await held.park()


def _closes_chat(error: Exception) -> bool:
    return isinstance(error, Undeliverable) and error.closes_chat


def _bury_item(item: Item, reason: str) -> list[Effect]:
    """Ends a message that cannot be delivered. Its content is kept for replay."""
    return [Delivered(item.id, ok=False), DeadLetter(item.id, Stage.DELIVER, reason)]
