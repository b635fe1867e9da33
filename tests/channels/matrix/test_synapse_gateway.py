"""A whole gateway on a real homeserver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.inbound.accounts import open_accounts
from sigil.providers.echo import EchoProvider
from sigil.stores import Stores
from sigil.testing import fake_stores, settle
from tests.channels.matrix.scene import Scene

# Everything here is done by one process, so that one Synapse is started.
pytestmark = pytest.mark.xdist_group("synapse")


@asynccontextmanager
async def run_gateway(scene: Scene, stores: Stores) -> AsyncIterator[Gateway]:
    """A gateway that listens for the account until it is killed."""
    matrix = {
        "homeserver": scene.synapse.address,
        "user_id": scene.bot.user_id,
        "access_token": scene.bot.token,
        "pairing": "open",
        "coalesce": False,
    }
    models = {"default": "echo/echo"}
    settings = Settings.model_validate({"channels": {"matrix": matrix}, "models": models})
    gateway = build(settings, stores=stores, providers={"echo": EchoProvider(delay=0)})
    (account,) = [each for each in open_accounts(gateway) if each.entry.name == "matrix"]
    listening = asyncio.create_task(account.listen())
    try:
        yield gateway
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        for entry in gateway.channels.entries:
            await entry.close()


async def settle_until(gateway: Gateway, is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await settle(gateway)
            await asyncio.sleep(0.05)


FILE = "f" * 32


async def test_a_gateway_that_is_started_again_answers_each_message_once(scene: Scene) -> None:
    """The whole way, twice over the same stores: what was said between the two is answered too."""
    stores = fake_stores()
    async with run_gateway(scene, stores) as gateway:
        await scene.meet()
        scene.alice.say(scene.room, "one")
        await settle_until(gateway, lambda: scene.texts() == ["one"])
    for text in ("two", "three"):
        scene.alice.say(scene.room, text)
    async with run_gateway(scene, stores) as gateway:
        scene.alice.say(scene.room, "four")
        await settle_until(gateway, lambda: len(scene.texts()) >= 4)
    assert scene.texts() == ["one", "two", "three", "four"]
