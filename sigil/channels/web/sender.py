"""Puts replies into the event log of a live chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.errors import SendFailed, StoreError

if TYPE_CHECKING:
    from sigil.channels.base import Chunk
    from sigil.channels.live import ChatStore


async def show(chats: ChatStore, channel: str, chunk: Chunk) -> str:
    """Appends the chunk once, however often it is sent, and returns its id.

    Raises `SendFailed` when the log cannot be reached.
    """
    event = {
        "type": "reply",
        "text": chunk.message.content,
        "turn": chunk.turn_id or None,  # a notice answers no turn
        "chunk": chunk.index,
        "final": chunk.final,
    }
    try:
        await chats.show(f"{channel}:{chunk.message.channel_id}", chunk.id, event)
    except StoreError as error:
        raise SendFailed("the chat log cannot be reached.", outcome_unknown=True) from error
    return chunk.id
