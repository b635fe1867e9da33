"""An inbox that a test can wait for, and that fails as a real one may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from sigil.channels.base import Acceptance, MediaKind
from sigil.errors import LeaseLost, MediaRefused
from sigil.messages.exchange import Attachment, InboundMessage
from tests.channels.cases import FakeInbox

WITHIN = 10.0
"""Seconds within which something comes in, however busy the machine."""


@dataclass
class WaitingInbox(FakeInbox):
    """`strangers` are not admitted. Without `owned` another process has the lease."""

    largest: int = 20 * 1024 * 1024
    strangers: set[str] = field(default_factory=set)
    owned: bool = True
    cursors: list[str] = field(default_factory=list)
    ended: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def receive(self, message: InboundMessage) -> Acceptance:
        try:
            return await super().receive(message)
        finally:
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
        if size is not None and size > self.largest:
            shown, most = size // 2**20, self.largest // 2**20
            raise MediaRefused(f"The file {name} has {shown} MB; I take up to {most} MB.")
        kept = await super().keep_file(data, kind=kind, name=name, mime_type=mime_type, size=size)
        if len(self.files[-1][1]) > self.largest:
            self.files.pop()
            raise MediaRefused(f"The file {name} is too large.")
        return kept

    async def is_admitted(self, sender_id: str) -> bool:
        return self.admitted and sender_id not in self.strangers

    async def save_cursor(self, cursor: str) -> None:
        self._check_lease()
        await super().save_cursor(cursor)
        self.cursors.append(cursor)
        await self._tell()

    async def save_last_message(self, channel_id: str, message_id: str) -> None:
        self._check_lease()
        await super().save_last_message(channel_id, message_id)

    async def wait_for(self, count: int) -> list[InboundMessage]:
        """The messages, once there are so many."""
        return await self._wait(lambda: len(self.received) >= count)

    async def wait_for_cursor(self, cursor: str | None = None) -> list[InboundMessage]:
        """The messages, once this cursor was saved, or the first one."""
        return await self._wait(lambda: cursor in self.cursors if cursor else bool(self.cursors))

    async def end(self) -> None:
        """Nothing comes in any more: the listener has failed."""
        self.ended = True
        await self._tell()

    async def _wait(self, is_done: Callable[[], bool]) -> list[InboundMessage]:
        async with asyncio.timeout(WITHIN), self._changed:
            await self._changed.wait_for(lambda: self.ended or is_done())
        return self.received

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _check_lease(self) -> None:
        if not self.owned:
            raise LeaseLost("another process listens for this account.")
