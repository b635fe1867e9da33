"""Keeps what it was given, and fails on demand."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sigil.channels.base import AccountContext, ChannelSpec, Chunk
from sigil.channels.memory.spec import MemoryType

if TYPE_CHECKING:
    from sigil.config.schema import ChannelSettings
    from sigil.errors import ChannelError
    from sigil.messages.exchange import OutboundMessage


class MemoryChannel:
    """`chunks` holds every chunk that arrived, in order; `sent` holds their messages."""

    def __init__(self, name: str = "memory", *, spec: ChannelSpec | None = None) -> None:
        self.name = name
        self.spec = spec or MemoryType.spec
        self.chunks: list[Chunk] = []
        self._failures: deque[tuple[ChannelError, bool]] = deque()

    @property
    def sent(self) -> list[OutboundMessage]:
        """The messages that arrived, one for each chunk."""
        return [chunk.message for chunk in self.chunks]

    def fail_next(self, error: ChannelError, *, times: int = 1, taken: bool = False) -> None:
        """Makes the next `times` sends raise `error`. With `taken` the chunk arrives all the
        same, as when a platform's response is lost."""
        self._failures.extend([(error, taken)] * times)

    async def send(self, chunk: Chunk) -> str | None:
        """Keeps the chunk. The platform's id is the number of chunks that have arrived."""
        error, arrives = self._failures.popleft() if self._failures else (None, True)
        if arrives:
            self.chunks.append(chunk)
        if error is not None:
            raise error
        return str(len(self.chunks))

    async def close(self) -> None:
        """Does nothing: there is no connection."""


def make_memory_channel(context: AccountContext, settings: ChannelSettings) -> MemoryChannel:
    """The channel of a configured entry."""
    return MemoryChannel(context.name)
