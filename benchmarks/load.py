"""A Sigil fleet under load: its configuration, and the messages that this process feeds it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Self

import yaml

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.host.record import RecordKeeper
from sigil.lanes.fleet import REPORT_EVERY_S, find_missing_roles
from sigil.messages.exchange import InboundMessage
from workers.publisher import wakeups
from workers.wakeup import MOST_TOGETHER

QUEUES = ("sigil.routing", "sigil.agent", "sigil.outbound")
IN_FLIGHT = 64
WITHIN_S = 300.0


def settings_file(
    folder: Path,
    name: str,
    *,
    channel: str = "memory",
    model: str = "echo/echo",
    slots: int | None = None,
) -> Path:
    """Writes the configuration of a fleet whose data is in `folder/data`. `slots` is how many
    turns each agent process runs at once."""
    config: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "channels": {"bench": {"type": channel, "pairing": "open", "coalesce": False}},
        "providers": {
            "echo": {"options": {"delay": 0, "hint": False}},
            "timed": {"type": "benchmarks.peers:TimedModel"},
            "slow": {"type": "benchmarks.peers:SlowModel"},
        },
        "models": {"default": model},
        "lanes": {"cap": 100_000},
        "limits": {"messages_per_minute": None},
        "logging": {"level": "WARNING"},
    }
    if slots is not None:
        config["workers"] = {"agent": {"concurrency": slots}}
    path = folder / f"sigil-{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class Load:
    """Feeds one fleet, in place of its gateway process, inside `async with`. Coalescing is off and
    the cap is high, so n messages are n turns and n sends, which is asserted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.publisher = wakeups(settings)
        # As a gateway process does when it has heard of all workers.
        self.publisher.lanes_per_wakeup = MOST_TOGETHER
        self.gateway: Gateway = build(settings, wakeups=self.publisher)

    async def __aenter__(self) -> Self:
        record = RecordKeeper(self._settings, ["gateway"])
        # Like every process this one learns here how many lanes a wake-up may name.
        self._chore = asyncio.create_task(record.keep(self.gateway.stores.fleet, self.publisher))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._chore.cancel()
        await asyncio.wait([self._chore])
        await asyncio.to_thread(self.publisher.close)
        await self.gateway.close()

    async def warm_up(self) -> None:
        """Sends some messages, and waits until all workers know of each other."""
        await self.send(f"warm-{time.monotonic()}", 50, 4)
        while find_missing_roles(await self.gateway.stores.fleet.list()):  # noqa: ASYNC110  # of other processes
            await asyncio.sleep(0.1)
        await asyncio.sleep(REPORT_EVERY_S + 0.5)

    async def send(self, batch: str, sessions: int, each: int) -> float:
        """Sends `each` messages to each of as many new sessions. Returns messages per second,
        from the first that was accepted to the last that was sent."""
        before = await self.count("sent")
        gate = asyncio.Semaphore(IN_FLIGHT)
        started = time.monotonic()

        async def send_one(session: int, number: int) -> None:
            async with gate:
                chat = f"{batch}-{session}"
                await self.receive(chat, f"{chat}-{number}", f"word {number}")

        await asyncio.gather(*(send_one(s, n) for n in range(each) for s in range(sessions)))
        total = sessions * each
        while (sent := await self.count("sent") - before) < total:
            await asyncio.sleep(0.01)
            if time.monotonic() - started > WITHIN_S:
                raise TimeoutError(f"{sent} of {total} sent after {WITHIN_S:.0f} s")
        seconds = time.monotonic() - started
        assert sent == total, f"{sent} sends for {total} messages"
        accepted, answered = await self.count("accepted"), await self.count("answered")
        assert accepted == answered, f"{answered} answered of {accepted}"
        return total / seconds

    async def receive(self, chat: str, message_id: str, text: str) -> None:
        """Returns when the message is accepted."""
        await self.gateway.receive(InboundMessage("bench", chat, message_id, chat, text))

    async def count(self, name: str) -> int:
        """How many messages were `accepted`, `answered`, `sent`, …, ever."""
        days = await self.gateway.stores.lanes.counts()
        return sum(day.get(name, 0) for day in days.values())
