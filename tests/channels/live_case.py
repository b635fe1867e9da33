"""A channel of live chats for the contract suites."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from sigil.channels.base import ChannelSpec, Sender
from sigil.channels.live import live_chat_key
from sigil.channels.router import load_channel
from sigil.config.schema import ChannelSettings
from sigil.errors import StoreError
from sigil.stores import Stores
from tests.channels.cases import Fault

FAULTS = frozenset({Fault.CUT})


@dataclass
class LiveCase:
    sender: Sender
    spec: ChannelSpec
    address: tuple[str, str]
    stores: Stores
    patch: pytest.MonkeyPatch
    chat: str = "chat"
    secret: str | None = None

    async def list_shown(self) -> list[str]:
        key = live_chat_key(*self.address, self.chat)
        return [str(record.data["text"]) for record in await self.stores.chats.read(key)]

    async def break_next(self, fault: Fault) -> None:
        show = self.stores.chats.show

        async def show_and_cut(*args: Any) -> None:
            self.patch.undo()
            await show(*args)
            raise StoreError("Redis did not answer.")

        self.patch.setattr(self.stores.chats, "show", show_and_cut)


@contextlib.asynccontextmanager
async def open_live_sender(kind: str, stores: Stores) -> AsyncIterator[LiveCase]:
    entry = load_channel("mine", ChannelSettings(type=kind), stores)
    with pytest.MonkeyPatch.context() as patch:
        yield LiveCase(entry.sender, entry.spec, (kind, "mine"), stores, patch)
