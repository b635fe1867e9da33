"""An inbox for the tests of listeners: it keeps what comes in, and knows repeats as the gateway
does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from sigil.channels.base import Acceptance, CommandName, MediaKind, Report
from sigil.errors import LeaseLost, MediaRefused, StoreError
from sigil.messages.exchange import Attachment, InboundMessage

WITHIN = 10.0
"""Seconds within which something comes in, however busy the machine."""


class TestInbox:
    """`strangers` are not admitted. `failures` are raised by the next calls of `receive`, each
    before anything is kept."""

    __test__ = False  # pytest would take the name for a test's

    def __init__(self, *, cursor: str | None = None, largest: int = 20 * 1024 * 1024) -> None:
        self.commands: Sequence[CommandName] = (
            CommandName("stop", "Stops the answer."),
            CommandName("new", "Starts a new conversation."),
        )
        self.messages: list[InboundMessage] = []
        self.reports: list[tuple[str, Report]] = []
        self.files: dict[str, bytes] = {}
        self.duplicates = 0
        self.cursor = cursor
        self.cursors: list[str] = []
        self.strangers: set[str] = set()
        self.failures: list[StoreError] = []
        self.owned = True
        self.activity = 0
        self.ended = False
        self._largest = largest
        self._ids: dict[tuple[str | None, ...], str] = {}
        self._changed = asyncio.Condition()

    async def receive(self, message: InboundMessage) -> Acceptance:
        if self.failures:
            raise self.failures.pop(0)
        key = (
            message.channel_type,
            message.account,
            message.channel_id,
            message.message_id,
            message.kind,
            message.revision,
        )
        duplicate = key in self._ids
        if duplicate:
            self.duplicates += 1
        else:
            self._ids[key] = f"in-{len(self._ids)}"
            self.messages.append(message)
        await self._tell()
        return Acceptance(self._ids[key], duplicate)

    async def report(self, key: str, report: Report) -> None:
        self.reports.append((key, report))
        await self._tell()

    async def keep_file(
        self,
        data: AsyncIterator[bytes],
        *,
        kind: MediaKind,
        name: str,
        mime_type: str,
        size: int | None = None,
    ) -> Attachment:
        if size is not None and size > self._largest:
            shown, most = size // 2**20, self._largest // 2**20
            raise MediaRefused(f"The file {name} has {shown} MB; I take up to {most} MB.")
        content = b"".join([piece async for piece in data])
        if len(content) > self._largest:
            raise MediaRefused(f"The file {name} is too large.")
        url = f"blob:{len(self.files)}"
        self.files[url] = content
        return Attachment(url, name, mime_type, len(content), kind)

    async def is_admitted(self, sender_id: str) -> bool:
        return sender_id not in self.strangers

    async def load_cursor(self) -> str | None:
        return self.cursor

    async def save_cursor(self, cursor: str) -> None:
        if not self.owned:
            raise LeaseLost("another process listens for this account.")
        self.cursor = cursor
        self.cursors.append(cursor)
        await self._tell()

    def note_activity(self) -> None:
        self.activity += 1

    async def wait_for(self, count: int) -> list[InboundMessage]:
        """The messages, once there are so many."""
        return await self._wait(lambda: len(self.messages) >= count)

    async def wait_for_cursor(self, cursor: str | None = None) -> list[InboundMessage]:
        """The messages, once this cursor was saved, or the first one."""
        return await self._wait(lambda: cursor in self.cursors if cursor else bool(self.cursors))

    async def end(self) -> None:
        """Nothing comes in any more: the listener has failed."""
        self.ended = True
        await self._tell()

    async def _wait(self, is_done) -> list[InboundMessage]:
        async with asyncio.timeout(WITHIN), self._changed:
            await self._changed.wait_for(lambda: self.ended or is_done())
        return self.messages

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
