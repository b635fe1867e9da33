"""How many streams of tokens two agent worker processes read at once, and what each costs.

Everything but the vendor and the platform is as users run it: `sigil worker` for routing, agents
(two) and outbound, over one Valkey. Each stream is the one turn of a chat of its own; all are
asked for within `--ramp` seconds and must be open at the same time and end with every token sent
to the platform.

    python benchmarks/streams.py [--streams 1000] [--seconds 20] [--rate 5] [--wire openai]

It reads, of the two agent processes alone and with nothing subtracted:
- CPU per token while all streams are open and none has ended, which is the reading of streams;
- CPU per token of the whole run, which has the work of beginning and ending each turn in it;
- memory per stream: peak memory less what the warm processes had before, threads included;
- added time to first token: from right before the vendor writes the first token's bytes to the
  socket until the provider hands its text to the chain of models, from where it reaches the
  draft without waiting for anything.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fleet import ROOT, cpu_seconds, peak_mib, processes, rss_mib, wait_for
from benchmarks.vendor import WARM_UP, Stats
from benchmarks.wires import WIRES
from sigil.bootstrap import build
from sigil.config import Settings, load_settings
from sigil.gateway import Gateway
from sigil.host import embedded, logs
from sigil.messages.exchange import InboundMessage
from workers.publisher import wakeups

AGENTS = 2
WARM_UPS, MOST_WARM_UPS = 8, 80
POLL_S = 0.25
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What the vendor had counted, and the CPU seconds of the agents, at about the same time."""

    vendor: Stats
    cpu: float


@dataclass(slots=True)
class Outcome:
    """What was seen of one run. Seconds, MiB and counts of words."""

    samples: list[Sample] = field(default_factory=list)
    idle_cpu: float = 0.0
    memory: float = 0.0
    late: list[float] = field(default_factory=list)
    shares: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


def settings_file(folder: Path, options: argparse.Namespace, port: int) -> Path:
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
                "base_url": f"http://127.0.0.1:{port}{WIRES[options.wire].base}",
                "options": {"wire": options.wire},
            }
        },
        "models": {"default": "bench/bench"},
        "workers": {"agent": {"concurrency": -(-options.streams // AGENTS) + WARM_UPS}},
        "logging": {"level": "WARNING"},
    }
    path = folder / "sigil.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class Run:
    """One run against workers that are up."""

    def __init__(
        self,
        options: argparse.Namespace,
        settings: Settings,
        agents: list[subprocess.Popen[bytes]],
        stats_url: str,
    ) -> None:
        self._options = options
        self._agents = agents
        self._stats_url = stats_url
        self._publisher = wakeups(settings)
        self._gateway: Gateway = build(settings, wakeups=self._publisher)
        self._outcome = Outcome()
        self._times = Path(os.environ["BENCH_TIMES"])

    async def run(self) -> Outcome:
        """Warms up, rests, and then opens all streams and waits for their ends."""
        try:
            await self._warm_up()
            before = sum(rss_mib(agent) for agent in self._agents)
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
        before = self._cpu()
        await asyncio.sleep(seconds)
        return (self._cpu() - before) / seconds

    async def _stream(self) -> None:
        options = self._options
        sampler = asyncio.create_task(self._sample())
        started = time.monotonic()
        for number in range(options.streams):
            due = started + options.ramp * number / options.streams
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._ask(f"chat{number}", "Say something that takes a while.")
        with contextlib.suppress(TimeoutError):  # what is missing shows in the figures
            await self._until_sent(options.streams, options.seconds + PATIENCE_S)
        await asyncio.sleep(2 * POLL_S)
        sampler.cancel()

    async def _ask(self, chat: str, text: str) -> None:
        await self._gateway.receive(InboundMessage("bench", chat, f"{chat}-1", chat, text))

    async def _sample(self) -> None:
        while True:
            stats = await asyncio.to_thread(self._stats)
            self._outcome.samples.append(Sample(stats, self._cpu()))
            await asyncio.sleep(POLL_S)

    def _stats(self) -> Stats:
        with urllib.request.urlopen(self._stats_url, timeout=30) as answer:
            return Stats(**json.load(answer))

    def _cpu(self) -> float:
        return sum(cpu_seconds(agent) for agent in self._agents)

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


def per_token(samples: list[Sample]) -> float:
    """Microseconds of CPU, from the first sample to the last."""
    tokens = samples[-1].vendor.tokens - samples[0].vendor.tokens
    return 1e6 * (samples[-1].cpu - samples[0].cpu) / max(1, tokens)


def report(options: argparse.Namespace, outcome: Outcome) -> dict[str, Any]:
    """Prints the figures and returns what the last line has."""
    tokens = round(options.seconds * options.rate)
    completed = sum(words == tokens for words in outcome.words)
    last = outcome.samples[-1].vendor
    steady = [
        sample
        for sample in outcome.samples
        if sample.vendor.open == options.streams and not sample.vendor.done
    ]
    if len(steady) < 2:  # a short run
        steady = outcome.samples
    quantiles = statistics.quantiles(outcome.late or [0.0, 0.0], n=100)
    figures = {
        "streams": options.streams,
        "completed": completed,
        "us_per_token": round(per_token(steady), 1),
        "kb_per_stream": round(1024 * outcome.memory / options.streams, 1),
        "ttft_added_p95_ms": round(quantiles[94], 2),
        "ttft_added_p50_ms": round(quantiles[49], 2),
        "us_per_token_whole_run": round(per_token(outcome.samples), 1),
        "open_at_once": last.peak,
        "wire": options.wire,
    }
    shares = " + ".join(map(str, outcome.shares))
    seconds = POLL_S * (len(steady) - 1)
    print(
        f"{options.streams} streams of {options.seconds:g} s at {options.rate:g} tokens/s over"
        f" {options.wire}: {last.peak} at once, in {AGENTS} processes ({shares});"
        f" {completed} complete, {last.broken} broken"
    )
    print(
        f"CPU a token                    {figures['us_per_token']:8.1f} µs"
        f"   (about {seconds:.0f} s with all of them open)"
    )
    print(
        f"  with beginning and end of turns {figures['us_per_token_whole_run']:5.1f} µs"
        f"   (idle, not subtracted: {1000 * outcome.idle_cpu:.0f} ms/s)"
    )
    print(f"memory a stream                {figures['kb_per_stream']:8.1f} kB")
    print(
        f"added time to first token      p50 {quantiles[49]:.2f} ms, p95 {quantiles[94]:.2f} ms,"
        f" most {max(outcome.late, default=0.0):.1f} ms"
    )
    return figures


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Starts everything, and ends it again."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.environ["BENCH_TIMES"] = str(folder / "times")
    (folder / "times").touch()
    tokens = round(options.seconds * options.rate)
    speaks = ["-m", "benchmarks.vendor", options.wire, str(tokens), str(options.rate)]
    valkey = embedded.start(folder / "data")
    try:
        with subprocess.Popen(
            [sys.executable, *speaks], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as vendor:
            assert vendor.stdout is not None
            port = int(vendor.stdout.readline())
            try:
                return _with_workers(folder, options, port)
            finally:
                vendor.terminate()
    finally:
        valkey.stop()


def _with_workers(folder: Path, options: argparse.Namespace, port: int) -> dict[str, Any]:
    path = settings_file(folder, options, port)
    settings = load_settings(path)
    logs.setup(settings)
    names = ["routing", "outbound", *(f"agent{number}" for number in range(AGENTS))]
    commands = {name: ["-m", "sigil", "worker", name.rstrip("0123456789")] for name in names}
    with processes(commands, {"SIGIL_CONFIG": str(path)}, folder / "logs") as running:
        agents = running[-AGENTS:]
        stats_url = f"http://127.0.0.1:{port}/stats"
        outcome = asyncio.run(Run(options, settings, agents, stats_url).run())
    return report(options, outcome)


def main() -> int:
    """The command line; 1 unless all streams were open at once and came out whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each one speaks")
    parser.add_argument("--rate", type=float, default=5.0, help="tokens a second of each")
    parser.add_argument(
        "--ramp", type=float, default=None, help="seconds; default: half of --seconds"
    )
    parser.add_argument("--wire", choices=sorted(WIRES), default="openai")
    parser.add_argument("--live", action="store_true", help="with drafts, as on the web page")
    parser.add_argument("--keep-logs", type=Path)
    options = parser.parse_args()
    if options.ramp is None:
        options.ramp = options.seconds / 2
    with tempfile.TemporaryDirectory(prefix="sigil-streams-") as folder:
        try:
            figures = run(Path(folder), options)
        finally:
            if options.keep_logs:
                logs_folder = Path(folder) / "logs"
                options.keep_logs.mkdir(parents=True, exist_ok=True)
                for file in logs_folder.glob("*.log"):
                    (options.keep_logs / file.name).write_bytes(file.read_bytes())
    print(json.dumps(figures))
    whole = figures["completed"] == figures["open_at_once"] == options.streams
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
