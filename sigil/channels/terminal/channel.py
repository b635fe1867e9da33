"""`sigil chat`: the HTTP API and the event log of the page, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.base import Capabilities, Chunk, Receive
from sigil.channels.live import ChannelStores, show_chunk

if TYPE_CHECKING:
    from sigil.config.schema import ChannelSettings


class TerminalChannel:
    """A person's terminal: a direct chat like any other, so it shares the person's session."""

    capabilities = Capabilities(
        max_chars=32_000,
        live=True,
        authenticated=True,
        idempotent_send=True,
        hint="The reader sees plain text in a terminal: short lines, little Markdown.",
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
