"""Makes the effects that send a text to a chat."""

from __future__ import annotations

from dataclasses import dataclass

from sigil.effects import Push
from sigil.lanes import LaneKind, Lanes
from sigil.messages import InboundMessage, OutboundMessage


@dataclass(frozen=True, slots=True)
class Replies:
    """Makes the effects that send a text to a chat."""

    lanes: Lanes

    async def push(self, message: OutboundMessage, cause: str, position: int, turn: str) -> Push:
        """The id derives from what caused the reply and its position, never from the attempt."""
        lane = await self.lanes.key(
            LaneKind.DELIVERY,
            message.channel_type,
            message.account,
            message.channel_id,
            message.thread_id or "",
        )
        out_id = await self.lanes.item_id("out", cause, str(position))
        return Push(lane, out_id, {"body": message.to_json(), "turn": turn})

    async def to(self, inbound: InboundMessage, text: str, cause: str, position: int = 0) -> Push:
        """A text back to where `inbound` came from."""
        return await self.push(answer_to(inbound, text), cause, position, cause)


def answer_to(inbound: InboundMessage, text: str) -> OutboundMessage:
    """A message to the chat (and thread) that `inbound` came from."""
    return OutboundMessage(
        channel_type=inbound.channel_type,
        channel_id=inbound.channel_id,
        content=text,
        thread_id=inbound.thread_id,
        account=inbound.account,
    )
