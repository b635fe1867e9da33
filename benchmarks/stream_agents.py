"""Sigil's side of `benchmarks/streams.py`: a fleet, and one turn in each of many chats."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fleet import peak_mib, processes, rss_mib, wait_for
from benchmarks.stream_costs import POLL_S, Sample, cpu_of, watch
from benchmarks.vendor import WARM_UP
from benchmarks.wires import WIRES
from sigil.bootstrap import build
from sigil.config import Settings, load_settings
from sigil.gateway import Gateway
from sigil.host import embedded, logs
from sigil.messages.exchange import InboundMessage
from workers.publisher import wakeups

AGENTS = 2
WARM_UPS, MOST_WARM_UPS = 8, 80
PATIENCE_S = 60.0


@dataclass(slots=True)
class Outcome:
    """What was seen of one run. Seconds, MiB and counts of words."""

    samples: list[Sample] = field(default_factory=list)
    idle_cpu: float = 0.0
    memory: float = 0.0
    late: list[float] = field(default_factory=list)
    shares: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


def run_agents(folder: Path, options: argparse.Namespace, wire: str, port: int) -> Outcome:
    """Starts a Valkey and the workers, reads all streams, and ends everything again."""
    os.environ["BENCH_TIMES"] = str(folder / "times")
    (folder / "times").touch()
    valkey = embedded.start(folder / "data")
    try:
        path = _write_settings(folder, options, wire, port)
        settings = load_settings(path)
        logs.setup(settings)
        names = ["routing", "outbound", *(f"agent{number}" for number in range(AGENTS))]
        commands = {name: ["-m", "sigil", "worker", name.rstrip("0123456789")] for name in names}
        with processes(commands, {"SIGIL_CONFIG": str(path)}, folder / "logs") as running:
            return asyncio.run(_Run(options, settings, running[-AGENTS:], port).run())
    finally:
        valkey.stop()


def _write_settings(folder: Path, options: argparse.Namespace, wire: str, port: int) -> Path:
    """The configuration of the fleet."""
    channel = "LiveChannel" if options.live else "CountingChannel"
    config: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "channels": {
            "bench": {"type": f"benchmarks.peers:{channel}", "pairing": "open", "coalesce": False}
        },
        "providers": {
            "bench": {
                "type": "benchmarks.peers:stream_reader",
                "api_key": "sk-bench",
                "base_url": f"http://127.0.0.1:{port}{WIRES[wire].base}",
                "options": {"wire": wire},
            }
        },
        "models": {"default": "bench/bench"},
        "workers": {"agent": {"concurrency": -(-options.streams // AGENTS) + WARM_UPS}},
        "logging": {"level": "WARNING"},
    }
    path = folder / "sigil.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class _Run:
    """One run against workers that are up."""

    def __init__(
        self,
        options: argparse.Namespace,
        settings: Settings,
        agents: list[subprocess.Popen[bytes]],
        port: int,
    ) -> None:
        self._options = options
        self._agents = agents
        self._port = port
        self._publisher = wakeups(settings)
        self._gateway: Gateway = build(settings, wakeups=self._publisher)
        self._outcome = Outcome()
        self._times = Path(os.environ["BENCH_TIMES"])

    async def run(self) -> Outcome:
        """Warms up, rests, and then opens all streams and waits for their ends."""
        try:
            await self._warm_up()
            before = sum(rss_mib(agent) for agent in self._agents)
            async with watch(self._port, self._agents) as self._outcome.samples:
                await self._stream()
            self._outcome.memory = sum(peak_mib(agent) for agent in self._agents) - before
            self._read_notes()
            return self._outcome
        finally:
            await asyncio.to_thread(self._publisher.close)
            await self._gateway.close()

    async def _warm_up(self) -> None:
        """Until each agent process has answered, and so has imported what it needs."""
        asked = 0
        while asked < MOST_WARM_UPS and self._processes_seen() < len(self._agents):
            for _ in range(WARM_UPS):
                asked += 1
                await self._ask(f"warm{asked}", WARM_UP.decode())
            await self._until_sent(asked)
        if self._processes_seen() < len(self._agents):
            raise TimeoutError("only one of the agent processes takes work")
        self._outcome.idle_cpu = await self._rest(2.0)
        self._times.write_text("")

    def _processes_seen(self) -> int:
        return len({pid for pid, _ in self._notes("first")})

    async def _until_sent(self, count: int, within: float = PATIENCE_S) -> None:
        is_true = lambda: len(self._notes("sent")) >= count  # noqa: E731
        what = f"{count} answers (--keep-logs tells more)"
        await asyncio.to_thread(wait_for, what, is_true, within, POLL_S)

    async def _rest(self, seconds: float) -> float:
        before = cpu_of(self._agents)
        await asyncio.sleep(seconds)
        return (cpu_of(self._agents) - before) / seconds

    async def _stream(self) -> None:
        options = self._options
        started = time.monotonic()
        for number in range(options.streams):
            due = started + options.ramp * number / options.streams
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._ask(f"chat{number}", "Say something that takes a while.")
        with contextlib.suppress(TimeoutError):  # what is missing shows in the figures
            await self._until_sent(options.streams, options.seconds + PATIENCE_S)

    async def _ask(self, chat: str, text: str) -> None:
        await self._gateway.receive(InboundMessage("bench", chat, f"{chat}-1", chat, text))

    def _notes(self, what: str) -> list[tuple[str, str]]:
        lines = self._times.read_text().splitlines()
        notes = [line.split() for line in lines]
        return [(note[1], note[2]) for note in notes if note[0] == what]

    def _read_notes(self) -> None:
        first = self._notes("first")
        pids = [pid for pid, _ in first]
        self._outcome.shares = sorted(pids.count(pid) for pid in set(pids))
        self._outcome.late = [1000 * float(late) for _, late in first]
        self._outcome.words = [int(words) for _, words in self._notes("sent")]
