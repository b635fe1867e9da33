"""What becomes of a message that its sender has changed.

edit ─▶ the message still waits   its words are replaced
     ─▶ it was read               the session is told, and so the model with what is asked next
     ─▶ it was not heard          refused
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.lanes.effects import Amend, Effect, Finish, Outcome, WriteSession
from sigil.messages.conversation import Message, encode_message, mark_lines
from sigil.messages.exchange import InboundMessage

if TYPE_CHECKING:
    from sigil.directory import Directory
    from sigil.refusals import Refusals
    from sigil.sessions import Route
    from sigil.stores.base import Stores

CORRECTION = "(Sigil: {user} has changed an earlier message. It reads now:)"


class Edits:
    """Corrects what was written before. Nobody is answered."""

    def __init__(self, stores: Stores, refusals: Refusals) -> None:
        self._stores = stores
        self._refusals = refusals

    async def correct(
        self, item_id: str, message: InboundMessage, lane: str, route: Route, directory: Directory
    ) -> list[Effect]:
        """The effects of an edit; `lane` is that of the session. Raises `StoreError`; and
        `RecordTooNew` or `MessageInvalid` if what waits cannot be read."""
        chat = (message.channel_type, message.account, message.channel_id)
        first = await self._stores.lanes.item_id(*chat, message.message_id)
        record, status = await asyncio.gather(
            self._stores.messages.get(first), self._stores.lanes.status(lane)
        )
        if record is None:
            return await self._refusals.refuse(item_id, message, "message.unknown", None)
        done: list[Effect] = [Finish(item_id, Outcome.ANSWERED)]
        # Whoever holds the lane has read what is in it.
        if "body" in record and not status.leased:
            waiting = InboundMessage.from_record(record)
            if waiting.sender_id == message.sender_id:
                changed = replace(waiting, content=message.content)
                return [Amend(first, lane, changed.to_record()), *done]
        session = await self._stores.sessions.load(route.session_key)
        words = [CORRECTION.format(user=route.user_id), *mark_lines(message.content)]
        note = encode_message(Message("user", "\n".join(words)))
        return [
            WriteSession(
                route.session_key,
                session.id,
                session.version,
                messages=(note,),
                keep=2 * directory.agent.window,
            ),
            *done,
        ]
