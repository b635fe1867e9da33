"""The memory channel for the contract suites."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sigil.channels.base import ChannelSpec
from sigil.channels.memory.spec import MemoryType
from sigil.errors import AccountRefused, MarkupRefused, SendFailed, SendRefused
from sigil.stores import Stores
from sigil.testing import MemoryChannel
from tests.channels.cases import RETRY_AFTER_S, Fault

ERRORS = {
    Fault.BUSY: SendFailed("slow down", retry_after=RETRY_AFTER_S),
    Fault.AWAY: SendFailed("away"),
    Fault.CUT: SendFailed("cut", outcome_unknown=True),
    Fault.GONE: SendRefused("gone", closes_chat=True),
    Fault.LOCKED: AccountRefused("locked", hint="Mend it."),
    Fault.MARKUP: MarkupRefused("no markup"),
}
FAULTS = frozenset(ERRORS)


@dataclass
class MemoryCase:
    sender: MemoryChannel = field(default_factory=MemoryChannel)
    spec: ChannelSpec = MemoryType.spec
    address: tuple[str, str] = ("memory", "default")
    chat: str = "chat"
    secret: str | None = None

    async def list_shown(self) -> list[str]:
        return [message.content for message in self.sender.sent]

    async def break_next(self, fault: Fault) -> None:
        self.sender.fail_next(ERRORS[fault], taken=fault is Fault.CUT)


@contextlib.asynccontextmanager
async def open_sender(stores: Stores) -> AsyncIterator[MemoryCase]:
    yield MemoryCase()
