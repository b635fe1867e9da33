from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sigil.channels.base import AccountContext
from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.sender import MatrixSender
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.accounts import CONTEXT, make_settings
from tests.channels.matrix.scene import Scene
from tests.peers.matrix.homeserver import Homeserver, run_homeserver
from tests.peers.synapse.server import Synapse


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


@pytest.fixture
def scene(synapse: Synapse) -> Scene:
    return Scene(synapse, synapse.add_person("bot"), synapse.add_person("alice"))
