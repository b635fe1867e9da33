"""From a request to the chat API to an `InboundMessage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.messages.exchange import InboundMessage

if TYPE_CHECKING:
    from sigil.channels.router import Entry
    from sigil.channels.web.payloads import SendText
    from sigil.identity.users import User


def to_inbound_message(
    channel: Entry, chat_id: str, user: User, payload: SendText
) -> InboundMessage:
    """The message as if a platform had sent it. Raises `MessageInvalid` if the text is too long."""
    return InboundMessage(
        channel_type=channel.channel_type,
        account=channel.account,
        channel_id=chat_id,
        message_id=payload.message_id,
        sender_id=user.id,
        sender_name=user.name,
        content=payload.text,
    )
