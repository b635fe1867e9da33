"""The strict server, and an account at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sigil.channels.base import Acceptance, AccountContext, CommandName, Report
from sigil.channels.telegram.listener import TelegramListener
from sigil.channels.telegram.sender import TelegramSender
from sigil.channels.telegram.settings import TelegramSettings
from sigil.errors import MediaRefused, StoreError
from sigil.messages.exchange import Attachment, InboundMessage
from sigil.testing import fake_stores
from tests.peers.telegram import TOKEN, Bot, Server, serve
from tests.peers.telegram.updates import Timing

PAYLOADS = Path(__file__).parent / "payloads"


class FakeInbox:
    """Keeps what it is given. `fail` makes it refuse as a store does that is away."""

    commands = (CommandName("help", "this list"), CommandName("stop", "stop the answer"))

    def __init__(self) -> None:
        self.received: list[InboundMessage] = []
        self.files: dict[str, bytes] = {}
        self.cursors: list[str] = []
        self.accepted_at_cursor: list[int] = []
        self.cursor: str | None = None
        self.fail = False
        self.activity = 0

    async def receive(self, message: InboundMessage) -> Acceptance:
        if self.fail:
            raise StoreError("the store is away")
        key = (message.channel_id, message.message_id, message.kind, message.revision)
        known = [(m.channel_id, m.message_id, m.kind, m.revision) for m in self.received]
        if key not in known:
            self.received.append(message)
        return Acceptance(message.message_id, key in known)

    async def report(self, key: str, report: Report) -> None: ...

    async def keep_file(
        self, data: AsyncIterator[bytes], *, kind: str, name: str, mime_type: str, size: int | None
    ) -> Attachment:
        if size is not None and size > 20 * 2**20:
            raise MediaRefused(f"The file {name} is too large.")
        self.files[name] = b"".join([piece async for piece in data])
        return Attachment(f"blob:{name}", name, mime_type, len(self.files[name]), kind)

    async def is_admitted(self, sender_id: str) -> bool:
        return True

    async def load_cursor(self) -> str | None:
        return self.cursor

    async def save_cursor(self, cursor: str) -> None:
        self.cursor = cursor
        self.cursors.append(cursor)
        self.accepted_at_cursor.append(len(self.received))

    def note_activity(self) -> None:
        self.activity += 1


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    bot = Bot()
    bot.updates.timing = Timing(conflict_hold=0.01, again=0.0, hook_first_delay=0.01)
    bot.pace.chat_s = bot.pace.group_minute = bot.pace.account_second = None
    async with serve(bot) as made:
        yield made


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


def settings(server: Server, **given: Any) -> TelegramSettings:
    return TelegramSettings(**{"token": TOKEN, "base_url": server.url, **given})


def context() -> AccountContext:
    return AccountContext("telegram", "telegram", "default", fake_stores())


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[TelegramListener]:
    made = TelegramListener(context(), settings(server))
    yield made
    await made.close()


@pytest.fixture
async def sender(server: Server) -> AsyncIterator[TelegramSender]:
    made = TelegramSender(context(), settings(server))
    yield made
    await made.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for what will come; the test's own time limit ends it if it does not."""
    while not is_so():
        await asyncio.sleep(0.005)
