"""A whole gateway on a real homeserver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.inbound.accounts import open_accounts
from sigil.providers.base import Provider
from sigil.providers.echo import EchoProvider
from sigil.stores import Stores
from sigil.testing import FakeProvider, fake_stores, settle
from tests.channels.matrix.scene import Scene

# Everything here is done by one process, so that one Synapse is started.
pytestmark = pytest.mark.xdist_group("synapse")


@asynccontextmanager
async def run_gateway(
    scene: Scene, stores: Stores, provider: Provider | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that listens for the account until it is killed."""
    matrix = {
        "homeserver": scene.synapse.address,
        "user_id": scene.bot.user_id,
        "access_token": scene.bot.token,
        "pairing": "open",
        "coalesce": False,
    }
    provider = provider or EchoProvider(name="model", delay=0)
    models = {"default": "model/model"}
    settings = Settings.model_validate({"channels": {"matrix": matrix}, "models": models})
    gateway = build(settings, stores=stores, providers={"model": provider})
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


async def test_a_model_is_given_what_it_can_read_and_the_rest_is_told(scene: Scene) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(500)
    model = FakeProvider("model", reply="I see.")
    async with run_gateway(scene, fake_stores(), model) as gateway:
        await scene.meet()
        send_file(scene, "m.image", "garden.png", "image/png", picture)
        await settle_until(gateway, lambda: len(scene.texts()) == 1)
        send_file(scene, "m.file", "plan.pdf", "application/pdf", b"%PDF-1.7 " + bytes(500))
        await settle_until(gateway, lambda: len(scene.texts()) == 2)
        voice = {"org.matrix.msc3245.voice": {}}
        send_file(scene, "m.audio", "note.ogg", "audio/ogg", b"OggS" + bytes(500), **voice)
        await settle_until(gateway, lambda: len(scene.texts()) == 3)
        size = {"mimetype": "video/x-matroska", "size": 30 * 2**20}
        film = {"msgtype": "m.file", "body": "film.mkv", "url": "mxc://localhost/x", "info": size}
        scene.alice.send(scene.room, film)
        await settle_until(gateway, lambda: len(scene.texts()) == 4)
    asked = [request.messages[-1] for request in model.requests]
    assert len(asked[0].images) == 1
    assert asked[1].documents[0].name == "plan.pdf"
    *_, heard, refused = scene.texts()
    assert "voice notes" in heard
    assert "film.mkv" in refused
    assert "30 MB" in refused


def send_file(
    scene: Scene, msgtype: str, name: str, mime_type: str, data: bytes, **more: Any
) -> None:
    address = scene.alice.upload(data, mime_type, name)
    info = {"mimetype": mime_type, "size": len(data)}
    scene.alice.send(
        scene.room, {"msgtype": msgtype, "body": name, "url": address, "info": info, **more}
    )
