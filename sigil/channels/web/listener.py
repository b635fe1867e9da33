"""From a request of the chat API to an `InboundMessage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.web.payloads import SendText
from sigil.messages import InboundMessage

if TYPE_CHECKING:
    from sigil.identity import User


def inbound(channel: str, chat_id: str, user: User, payload: SendText) -> InboundMessage:
    """Raises `MessageInvalid` when the text is over its bound."""
    return InboundMessage(
        channel_type=channel,
        channel_id=chat_id,
        message_id=payload.message_id,
        sender_id=user.id,
        sender_name=user.name,
        content=payload.text,
    )
