"""The strict server, and an account at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sigil.channels.base import AccountContext
from sigil.channels.telegram.listener import TelegramListener
from sigil.channels.telegram.sender import TelegramSender
from sigil.testing import fake_stores
from tests.channels import cases
from tests.channels.telegram.case import make_quick_bot, make_settings
from tests.peers.telegram import Server, serve

PAYLOADS = Path(__file__).parent / "payloads"


@dataclass
class FakeInbox(cases.FakeInbox):
    """Notes each cursor, and how many messages had been accepted then."""

    cursors: list[tuple[str, int]] = field(default_factory=list)

    async def save_cursor(self, cursor: str) -> None:
        await super().save_cursor(cursor)
        self.cursors.append((cursor, len(self.received)))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve(make_quick_bot()) as made:
        yield made


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


def context(hook_url: str | None = None) -> AccountContext:
    return AccountContext("telegram", "telegram", "default", fake_stores(), hook_url)


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[TelegramListener]:
    made = TelegramListener(context(), make_settings(server))
    yield made
    await made.close()


@pytest.fixture
async def sender(server: Server) -> AsyncIterator[TelegramSender]:
    made = TelegramSender(context(), make_settings(server))
    yield made
    await made.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for what will come; the test's own time limit ends it if it does not."""
    while not is_so():
        await asyncio.sleep(0.005)
