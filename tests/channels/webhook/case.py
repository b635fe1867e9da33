"""The generic webhook for the contract suites."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sigil.channels.base import ChannelSpec, Listener
from sigil.channels.webhook.listener import WebhookListener
from sigil.channels.webhook.sender import WebhookSender
from sigil.channels.webhook.spec import WebhookType
from sigil.errors import StoreError
from sigil.stores import Stores
from tests.channels.cases import RETRY_AFTER_S, FakeInbox, Fault
from tests.channels.webhook.conftest import CONTEXT, SECRET, make_settings, signed
from tests.http.server import Connection, run_server

ADDRESS = (CONTEXT.channel_type, CONTEXT.account)
_STATUS = {Fault.BUSY: 429, Fault.BROKEN: 500, Fault.GONE: 410, Fault.LOCKED: 401}
FAULTS = frozenset({*_STATUS, Fault.CUT, Fault.AWAY})


@dataclass
class Callback:
    """A program that keeps each chunk once, by its id."""

    shown: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None

    async def answer(self, connection: Connection) -> None:
        fault, self.fault = self.fault, None
        if fault in {None, Fault.CUT, Fault.BROKEN}:
            body = json.loads(connection.body)
            self.shown.setdefault(body["id"], body["text"])
        if fault is Fault.CUT:
            raise ConnectionError
        status = 204 if fault is None else _STATUS[fault]
        head = f"HTTP/1.1 {status} x\r\nretry-after: {RETRY_AFTER_S}\r\ncontent-length: 0\r\n\r\n"
        connection.send(head.encode())


@dataclass
class WebhookSenderCase:
    callback: Callback
    sender: WebhookSender
    url: str
    spec: ChannelSpec = WebhookType.spec
    address: tuple[str, str] = ADDRESS
    chat: str = "c1"
    secret: str | None = SECRET

    async def list_shown(self) -> list[str]:
        return [re.sub(r"[*_]{2}", "", text).strip() for text in self.callback.shown.values()]

    async def break_next(self, fault: Fault) -> None:
        if fault is not Fault.AWAY:
            self.callback.fault = fault
            return
        nowhere = re.sub(r":\d+/", ":1/", self.url)
        self.sender = WebhookSender(CONTEXT, make_settings(callback_url=nowhere))


@contextlib.asynccontextmanager
async def open_sender(stores: Stores) -> AsyncIterator[WebhookSenderCase]:
    callback = Callback()
    async with run_server(callback.answer) as server:
        sender = WebhookSender(CONTEXT, make_settings(callback_url=server.url()))
        yield WebhookSenderCase(callback, sender, server.url())


@dataclass
class WebhookListenerCase:
    listener: WebhookListener
    inbox: FakeInbox
    spec: ChannelSpec = WebhookType.spec
    address: tuple[str, str] = ADDRESS
    written: int = 0

    async def write(self, text: str) -> None:
        self.written += 1
        body: dict[str, Any] = {"id": f"m{self.written}", "chat": "c1", "sender": "ana"}
        while True:
            try:
                answer = await self.listener.receive_hook(
                    signed({**body, "text": text}), self.inbox
                )
            except StoreError:  # the program is told 503, and comes again
                await asyncio.sleep(0)
                continue
            assert answer.status == 202
            return

    async def edit(self, text: str) -> bool:
        return False

    async def write_as_bot(self, text: str) -> bool:
        return False

    async def open_again(self) -> Listener:
        self.listener = WebhookListener(CONTEXT, make_settings())
        return self.listener


@contextlib.asynccontextmanager
async def open_listener(stores: Stores, inbox: FakeInbox) -> AsyncIterator[WebhookListenerCase]:
    yield WebhookListenerCase(WebhookListener(CONTEXT, make_settings()), inbox)
