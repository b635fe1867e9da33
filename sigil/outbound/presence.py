"""What a running turn shows before its reply. Drafts are best effort; only the reply counts.

    model stream ── add ──▶ text ── a writer task, at its own pace ──▶ ChatStore.draft

The stream never waits for the store. The writer always writes the whole text so far, under the
lease's fencing token and a rising revision, so that the store can drop a draft that comes late or
from a worker that lost its lease.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from sigil.channels.live import ChatStore
from sigil.errors import StoreError
from sigil.messages.exchange import clean
from sigil.waiting import end

log = structlog.get_logger(__name__)

SHORTEST_PAUSE_S = 0.1
# Each draft is written whole, so long ones are written less often: a turn costs the store about
# this many bytes a second at most.
BYTES_PER_SECOND = 100_000


class Draft:
    """The draft of one turn in one live chat. Without `chats` nobody is watching."""

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
        """Appends a piece of the answer; starts the writer with the first one."""
        if self._chats is None:
            return
        self.text += text
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_drafts(self._chats))

    def restart(self) -> None:
        """Empties the draft: another model starts the answer over."""
        self.text = ""

    async def close(self) -> None:
        """Ends the writer. Nothing is written after this."""
        if self._writer is not None:
            await end([self._writer])

    async def _write_drafts(self, chats: ChatStore) -> None:
        while True:
            started = time.monotonic()
            pause = SHORTEST_PAUSE_S
            if self.text != self._written:
                self._written = self.text
                self._revision += 1
                try:
                    await chats.draft(
                        self._chat, self._turn, self._token, self._revision, clean(self._written)
                    )
                except StoreError as error:
                    log.debug("draft not written", reason=error.code)
                pause = max(pause, len(self._written) / BYTES_PER_SECOND)
            await asyncio.sleep(max(0.0, started + pause - time.monotonic()))
