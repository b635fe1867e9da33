from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from sigil.channels.base import AccountContext
from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.sender import MatrixSender
from sigil.channels.matrix.settings import MatrixSettings
from tests.channels.inbox import WaitingInbox
from tests.peers.matrix.homeserver import BOT, TOKEN, Homeserver, run_homeserver

CONTEXT = AccountContext("matrix", "matrix", "default", SimpleNamespace())


def make_settings(server: Homeserver, **given: Any) -> MatrixSettings:
    values = {"homeserver": server.address, "user_id": BOT, "access_token": TOKEN, **given}
    return MatrixSettings(**{name: value for name, value in values.items() if value is not None})


@asynccontextmanager
async def run_listener(
    listener: MatrixListener, inbox: WaitingInbox
) -> AsyncIterator[WaitingInbox]:
    """Listens until the end of the block; what the listener raised before is raised there."""

    async def listen() -> None:
        try:
            await listener.listen(inbox)
        finally:
            await inbox.end()

    inbox.ended = False
    listening = asyncio.create_task(listen())
    try:
        yield inbox
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        await listener.close()
        if not listening.cancelled():
            listening.result()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def server() -> AsyncIterator[Homeserver]:
    async with run_homeserver() as server:
        yield server


@pytest.fixture
def inbox() -> WaitingInbox:
    """An inbox that has read up to somewhere, so that no sync is the first one."""
    return WaitingInbox(cursor="s0")


@pytest.fixture
def listener(server: Homeserver) -> MatrixListener:
    return MatrixListener(CONTEXT, make_settings(server))


@pytest.fixture
async def make_sender(server: Homeserver) -> AsyncIterator[Callable[..., MatrixSender]]:
    made: list[MatrixSender] = []

    def make(stores: Any = None, **given: Any) -> MatrixSender:
        context = (
            CONTEXT if stores is None else AccountContext("matrix", "matrix", "default", stores)
        )
        made.append(MatrixSender(context, make_settings(server, **given)))
        return made[-1]

    yield make
    for sender in made:
        await sender.close()
