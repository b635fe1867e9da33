"""What the channels of live chats have in common: the web page and the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.base import AccountContext, ChannelSpec, Chunk
from sigil.channels.live import show_chunk

if TYPE_CHECKING:
    from sigil.config.schema import ChannelSettings


def make_live_spec(*, hint: str, html: bool = False, own_sessions: bool = False) -> ChannelSpec:
    """What a channel of live chats can do. The HTTP API has checked who writes, and the log shows
    a chunk once however often it is sent."""
    return ChannelSpec(
        text_limit=32_000,
        live=True,
        html=html,
        buttons=True,
        authenticated=True,
        idempotent_send=True,
        own_sessions=own_sessions,
        hint=hint,
    )


class LiveSender:
    """Appends to the event logs of chats."""

    def __init__(self, context: AccountContext, settings: ChannelSettings) -> None:
        self.name = context.name
        self._chats = context.stores.chats

    async def send(self, chunk: Chunk) -> str | None:
        """Shows the chunk in the chat's log. The platform's id is the chunk's own."""
        return await show_chunk(self._chats, chunk)

    async def close(self) -> None:
        """Does nothing: the stores belong to the gateway."""
