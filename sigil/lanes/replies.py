"""Makes the effects that send a text to a chat.

reply ──▶ Push(lane of the destination, id, body) ──▶ applied in the commit that caused it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigil.lanes.effects import Push
from sigil.lanes.lane import LaneKind, Lanes
from sigil.messages.exchange import Action, AnswerDetails, InboundMessage, OutboundMessage


@dataclass(frozen=True, slots=True)
class Replies:
    """Puts messages on the lanes of their destinations."""

    lanes: Lanes

    async def push_message(
        self, message: OutboundMessage, cause: str, position: int = 0, turn: str = ""
    ) -> Push:
        """The effect that sends `message`. Its id derives from what caused the message and from
        its position there, never from the attempt: a step that runs again sends nothing twice."""
        lane = await self.lanes.key(
            LaneKind.DELIVERY,
            message.channel_type,
            message.account,
            message.channel_id,
            message.thread_id or "",
        )
        out_id = await self.lanes.item_id("out", cause, str(position))
        return Push(lane, out_id, {**message.to_record(), "turn": turn})

    async def push_reply(self, inbound: InboundMessage, text: str, cause: str) -> Push:
        """The effect that sends a turn's text back to where `inbound` came from; the turn is the
        cause."""
        return await self.push_message(make_reply(inbound, text), cause, turn=cause)

    async def push_notice(self, inbound: InboundMessage, text: str, cause: str) -> Push:
        """The same for a text that belongs to no turn, as a command's answer."""
        return await self.push_message(make_reply(inbound, text), cause)


def make_reply(
    inbound: InboundMessage,
    text: str,
    *,
    answers: Sequence[str] | None = None,
    details: AnswerDetails | None = None,
    actions: Sequence[Action] = (),
) -> OutboundMessage:
    """A message to the chat (and thread) that `inbound` came from. It answers `inbound`, unless
    `answers` names other messages, or none: then `inbound` is still to be answered. In a group,
    where several people write, it refers to that message."""
    return OutboundMessage(
        channel_type=inbound.channel_type,
        channel_id=inbound.channel_id,
        content=text,
        thread_id=inbound.thread_id,
        account=inbound.account,
        reply_to=None if inbound.is_direct else _find_message(inbound),
        is_direct=inbound.is_direct,
        details=details,
        actions=tuple(actions),
        answers=(inbound.message_id,) if answers is None else tuple(answers),
    )


def _find_message(inbound: InboundMessage) -> str | None:
    """The platform's id of the message that people see. A button that was pressed is none; what it
    belongs to is."""
    return inbound.reply_to if inbound.kind == "action" else inbound.message_id
