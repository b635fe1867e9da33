"""What the channels of live chats have in common: the web page and the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.base import ChannelSpec, Chunk, Receive
from sigil.channels.live import ChannelStores, show_chunk

if TYPE_CHECKING:
    from sigil.config.schema import ChannelSettings


def live_spec(*, hint: str, html: bool = False, own_sessions: bool = False) -> ChannelSpec:
    """What a channel of live chats can do. The HTTP API has checked who writes, and the log shows
    a chunk once however often it is sent."""
    return ChannelSpec(
        text_limit=32_000,
        live=True,
        html=html,
        authenticated=True,
        idempotent_send=True,
        own_sessions=own_sessions,
        hint=hint,
    )


class LiveChannel:
    """A channel whose chats are event logs. A subclass says what its readers see."""

    spec: ChannelSpec

    def __init__(self, name: str, settings: ChannelSettings | None, stores: ChannelStores) -> None:
        self.name = name
        self._chats = stores.chats

    async def send(self, chunk: Chunk) -> str | None:
        """Shows the chunk in the chat's log. The platform's id is the chunk's own."""
        return await show_chunk(self._chats, self.name, chunk)

    async def listen(self, receive: Receive) -> None:
        """Returns at once: the HTTP routes hand messages in."""

    async def close(self) -> None:
        """Does nothing: the stores belong to the gateway."""
