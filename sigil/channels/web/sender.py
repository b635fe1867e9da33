"""Puts replies into the event log of a live chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.live import live_chat_key, reply_event
from sigil.errors import SendFailed, StoreError

if TYPE_CHECKING:
    from sigil.channels.base import Chunk
    from sigil.channels.live import ChatStore


async def show(chats: ChatStore, channel: str, chunk: Chunk) -> str:
    """Appends the chunk once, however often it is sent, and returns its id.

    Raises `SendFailed` when the log cannot be reached.
    """
    message = chunk.message
    chat = live_chat_key(channel, message.account, message.channel_id)
    try:
        await chats.show(chat, chunk.id, reply_event(chunk))
    except StoreError as error:
        raise SendFailed("the chat log cannot be reached.", outcome_unknown=True) from error
    return chunk.id
