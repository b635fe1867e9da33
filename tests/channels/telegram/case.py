"""Telegram for the contract suites: the strict server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sigil.channels.base import AccountContext, ChannelSpec, Listener
from sigil.channels.telegram.listener import TelegramListener
from sigil.channels.telegram.sender import TelegramSender
from sigil.channels.telegram.settings import TelegramSettings
from sigil.channels.telegram.spec import TelegramType
from sigil.stores import Stores
from tests.channels.cases import RETRY_AFTER_S, FakeInbox, Fault
from tests.peers.telegram import TOKEN, Bot, Server, serve
from tests.peers.telegram import Fault as ServerFault
from tests.peers.telegram.limits import ApiError, bad, too_many
from tests.peers.telegram.updates import Timing

CHAT = 42
FAULTS = frozenset(Fault)


def _answer(error: ApiError) -> ServerFault:
    return ServerFault(error.code, error.body())


_FAULTS = {
    Fault.BUSY: _answer(too_many(RETRY_AFTER_S)),
    Fault.CUT: ServerFault(cuts=True, does=True),
    Fault.BROKEN: ServerFault(502, "<html>Bad Gateway", does=True),
    Fault.LOCKED: _answer(ApiError(401, "Unauthorized")),
    Fault.MARKUP: _answer(bad("can't parse entities: unsupported type")),
}


def make_quick_bot() -> Bot:
    """A bot that may write as fast as it likes."""
    bot = Bot()
    bot.updates.timing = Timing(conflict_hold=0.01, again=0.0, hook_first_delay=0.01)
    bot.pace.chat_s = bot.pace.group_minute = bot.pace.account_second = None
    bot.add_chat(CHAT)
    return bot


def make_settings(server: Server, **given: Any) -> TelegramSettings:
    return TelegramSettings(**{"token": TOKEN, "base_url": server.url, **given})


@dataclass
class Case:
    server: Server
    stores: Stores
    spec: ChannelSpec = TelegramType.spec
    address: tuple[str, str] = ("telegram", "default")
    chat: str = str(CHAT)
    secret: str | None = TOKEN
    sender: TelegramSender = field(init=False)
    listener: Listener = field(init=False)
    written: int = 0

    def __post_init__(self) -> None:
        settings = make_settings(self.server)
        self.sender = TelegramSender(self._context(), settings)
        self.listener = TelegramListener(self._context(), settings)

    def _context(self) -> AccountContext:
        return AccountContext("telegram", "telegram", "default", self.stores)

    async def list_shown(self) -> list[str]:
        return self.server.bot.shown(CHAT)

    async def break_next(self, fault: Fault) -> None:
        if fault is Fault.AWAY:
            await self.server.close()
        elif fault is Fault.GONE:
            self.server.bot.chats[CHAT].state = "blocked"
        else:
            self.server.bot.faults.order("sendMessage", _FAULTS[fault])

    async def write(self, text: str) -> None:
        self.written = self.server.bot.write(CHAT, text)

    async def edit(self, text: str) -> bool:
        self.server.bot.rewrite(CHAT, self.written, text)
        return True

    async def write_as_bot(self, text: str) -> bool:
        chat = self.server.bot.chats[CHAT]
        self.server.bot.updates.push("message", self.server.bot.post(chat, None, {"text": text}))
        return True

    async def open_again(self) -> Listener:
        await self.listener.close()
        return TelegramListener(self._context(), make_settings(self.server))


@contextlib.asynccontextmanager
async def open_sender(stores: Stores) -> AsyncIterator[Case]:
    async with serve(make_quick_bot()) as server:
        case = Case(server, stores)
        yield case
        await case.listener.close()


@contextlib.asynccontextmanager
async def open_listener(stores: Stores, inbox: FakeInbox) -> AsyncIterator[Case]:
    async with open_sender(stores) as case:
        yield case
        await case.sender.close()
