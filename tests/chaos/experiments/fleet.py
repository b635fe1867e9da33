"""A fleet of real processes for one experiment, and a gateway to write to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.gateway import Gateway
from sigil.messages.exchange import InboundMessage
from sigil.stores import Stores
from sigil.stores.redis.client import Client
from tests.chaos import clock
from tests.chaos.proxy import Proxy
from tests.chaos.site import START_S, Valkey, Worker, crew, tend, until, write_config
from workers.publisher import wakeups

ENDS = ("answered", "failed", "refused", "stopped", "dead")


@dataclass
class Fleet:
    """`hold`: while this file exists, no call of the model ends. Links are by worker."""

    folder: Path
    valkey: Valkey
    gateway: Gateway
    workers: list[Worker]
    links: dict[str, Proxy] = field(default_factory=dict)

    @property
    def hold(self) -> Path:
        return self.folder / "hold"

    @property
    def stores(self) -> Stores:
        return self.gateway.stores

    async def start(self, *names: str) -> None:
        """Starts these workers, or all of them, and waits until they take work."""
        chosen = [each for each in self.workers if not names or each.name in names]
        for worker in chosen:
            worker.start()
        for worker in chosen:
            await until(f"{worker.name} is ready", worker.ready, START_S)

    def worker(self, name: str) -> Worker:
        [found] = [each for each in self.workers if each.name == name]
        return found

    async def say(self, chat: str, number: int) -> str:
        """Returns the item's id. Raises `StoreError`."""
        message = InboundMessage("chaos", chat, f"{chat}-{number}", chat, f"{chat} {number:05}")
        return (await self.gateway.receive(message)).id

    async def counts(self) -> Counter[str]:
        """The ledger, over all days."""
        found: Counter[str] = Counter()
        for day in (await self.stores.lanes.counts()).values():
            found.update(day)
        return found

    async def until_ended(self, messages: int, within: float) -> float:
        """Waits until so many have ended, however; returns the seconds it took."""

        async def have_ended() -> bool:
            found = await self.counts()
            return sum(found[end] for end in ENDS) >= messages

        return await until(f"{messages} messages ended", have_ended, within)

    async def check_books(self) -> None:
        report = await self.stores.lanes.verify(deep=True)
        assert report["balanced"], report["problems"]

    def lines(self, name: str) -> list[dict[str, Any]]:
        """What a trace of the peers holds: `platform` or `calls`."""
        path = self.folder / f"{name}.jsonl"
        return list(map(json.loads, path.read_text().splitlines())) if path.exists() else []

    async def until_called(self, calls: int, within: float = 60) -> float:
        async def were_called() -> bool:
            return len(self.lines("calls")) >= calls

        return await until(f"{calls} calls of the model began", were_called, within)

    @property
    def client(self) -> Client:
        client = self.stores.backend
        assert isinstance(client, Client)
        return client

    async def step_clock(self, seconds: int) -> None:
        await clock.step(self.client.redis, self.client.keys.prefix, seconds)


@contextlib.asynccontextmanager
async def open_fleet(
    places: Mapping[str, int],
    *,
    lanes: Mapping[str, Any] | None = None,
    latency: float = 0.0,
    linked: bool = False,
    tended: bool = False,
) -> AsyncIterator[Fleet]:
    """A server, and workers that are not started yet. The clock of the server can step. `linked`:
    each worker has a link of its own; `tended`: who dies is replaced."""
    clock.apply()
    with tempfile.TemporaryDirectory(prefix="exp-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        provider = {"latency": latency, "calls": str(folder / "calls.jsonl")}
        provider["hold"] = str(folder / "hold")
        config = write_config(folder, lanes=dict(lanes or {}), provider=provider)
        settings = load_settings(config, role="gateway", environ={})
        valkey, workers = Valkey(folder), crew(folder, {"CHAOS_CLOCK": "steps"}, dict(places))
        await valkey.start()
        publisher = wakeups(settings)
        gateway = build(settings, wakeups=publisher)
        fleet = Fleet(folder, valkey, gateway, workers)
        tending = asyncio.create_task(tend(workers)) if tended else None
        try:
            for worker in workers if linked else ():
                link = Proxy(folder / f"{worker.name}.sock", valkey.socket)
                await link.start()
                worker.proxy = fleet.links[worker.name] = link
            yield fleet
        finally:
            if tending is not None:
                tending.cancel()
            for worker in workers:
                worker.kill()
            await gateway.close()
            publisher.close()
            for link in fleet.links.values():
                await link.close()
            valkey.kill()


def stopwatch() -> Callable[[], float]:
    """Tells the seconds since it was made."""
    began = time.monotonic()
    return lambda: time.monotonic() - began
