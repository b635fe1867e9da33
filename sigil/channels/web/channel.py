"""The chat page of the gateway. The HTTP routes in `sigil.web.chat` are its listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.base import Capabilities, Chunk, Receive
from sigil.channels.live import ChannelStores, show_chunk

if TYPE_CHECKING:
    from sigil.config.schema import ChannelSettings


class WebChannel:
    """Chats on the page. Each is a session of its own."""

    capabilities = Capabilities(
        max_chars=32_000,
        live=True,
        html=True,
        authenticated=True,
        idempotent_send=True,
        own_sessions=True,
        hint="The reader's page renders Markdown with tables and code blocks, but no images.",
    )

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
