"""What a running turn shows meanwhile. Drafts are best effort; only finals count."""

from __future__ import annotations

import asyncio
import time

import structlog

from sigil.channels.live import ChatStore
from sigil.errors import StoreError
from sigil.messages import clean
from sigil.waiting import end

log = structlog.get_logger(__name__)

SHORTEST_PAUSE = 0.1
# A draft is written whole each time; long ones are written less often, so that a turn
# costs the store at most about this many bytes a second.
BYTES_PER_SECOND = 100_000


class Draft:
    """The draft of one turn in one live chat. `add` never waits for the store."""

    def __init__(self, chats: ChatStore | None, chat: str, turn: str, token: int) -> None:
        self._chats = chats
        self._chat = chat
        self._turn = turn
        self._token = token
        self._revision = 0
        self._written = ""
        self._writer: asyncio.Task[None] | None = None
        self.text = ""

    def add(self, text: str) -> None:
        if self._chats is None:
            return  # nobody watches
        self.text += text
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    def restart(self) -> None:
        """The answer begins anew, with another model."""
        self.text = ""

    async def close(self) -> None:
        """No draft is written after this."""
        if self._writer is not None:
            await end([self._writer])

    async def _write(self) -> None:
        assert self._chats is not None
        while True:
            if self.text != self._written:
                started = time.monotonic()
                self._written = self.text
                self._revision += 1
                try:
                    await self._chats.draft(
                        self._chat, self._turn, self._token, self._revision, clean(self._written)
                    )
                except StoreError as error:
                    log.debug("draft not written", reason=error.code)
                pause = max(SHORTEST_PAUSE, len(self._written) / BYTES_PER_SECOND)
                await asyncio.sleep(max(0.0, started + pause - time.monotonic()))
            else:
                await asyncio.sleep(SHORTEST_PAUSE)
