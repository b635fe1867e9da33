"""Sigil's whole path against raw Celery, on one machine in one run.

(a) raw Celery: chains of three empty tasks, one worker process per task;
(b) Sigil with the echo provider and a memory sender, one worker process per role, as
    50 sessions x 40 messages (burst) and as 2,000 sessions x 1 message (spread).
Same Valkey, same number of processes. Coalescing is off and the cap raised, so that 2,000
messages are 2,000 turns and 2,000 sends, which is asserted. Then the latency that Sigil adds
when idle: accepted → provider called, plus last token → sender called.

    python benchmarks/pipeline.py [--messages 2000] [--idle 200] [--keep-logs FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fleet import peak_mib, wait_for, workers
from sigil.bootstrap import build
from sigil.config import Settings, load_settings
from sigil.gateway import Gateway
from sigil.host import embedded, logs
from sigil.messages.exchange import InboundMessage
from workers.broker import url as broker_url
from workers.publisher import wakeups

QUEUES = ("sigil.routing", "sigil.agent", "sigil.outbound")
RAW_CONCURRENCY = "8"
IN_FLIGHT = 64
ROUNDS = 3


def settings_file(folder: Path, data_dir: Path, *, timed: bool) -> Path:
    """The configuration of a benchmarked fleet."""
    peer = "benchmarks.peers:TimedChannel" if timed else "memory"
    model = "timed/timed" if timed else "echo/echo"
    config: dict[str, Any] = {
        "data_dir": str(data_dir),
        "channels": {"bench": {"type": peer, "pairing": "open", "coalesce": False}},
        "providers": {
            "echo": {"options": {"delay": 0, "hint": False}},
            "timed": {"type": "benchmarks.peers:TimedModel"},
        },
        "models": {"default": model},
        "lanes": {"cap": 100_000},
        "logging": {"level": "WARNING"},
    }
    path = folder / f"sigil-{'timed' if timed else 'load'}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class Load:
    """One configured Sigil fleet, fed by this process."""

    def __init__(self, settings: Settings, server: redis.Redis) -> None:
        self.server = server
        self.publisher = wakeups(settings)
        self.gateway: Gateway = build(settings, wakeups=self.publisher)

    async def send(self, batch: str, sessions: int, each: int) -> float:
        """Messages per second from the first accepted to the last sent."""
        before = await self._sent()
        gate = asyncio.Semaphore(IN_FLIGHT)
        started = time.monotonic()

        async def one(session: int, number: int) -> None:
            async with gate:
                chat = f"{batch}-{session}"
                message = InboundMessage("bench", chat, f"{chat}-{number}", chat, f"word {number}")
                await self.gateway.receive(message)

        await asyncio.gather(*(one(s, n) for n in range(each) for s in range(sessions)))
        total = sessions * each
        while (sent := await self._sent() - before) < total:
            await asyncio.sleep(0.01)
            if time.monotonic() - started > 300:
                raise TimeoutError(f"{sent} of {total} sent after 300 s")
        seconds = time.monotonic() - started
        await self._check(total, sent)
        return total / seconds

    async def _sent(self) -> int:
        return sum(
            day.get("sent", 0) for day in (await self.gateway.stores.lanes.counts()).values()
        )

    async def _check(self, total: int, sent: int) -> None:
        assert sent == total, f"{sent} sends for {total} messages"
        counts = await self.gateway.stores.lanes.counts()
        accepted = sum(day["accepted"] for day in counts.values())
        answered = sum(day["answered"] for day in counts.values())
        assert accepted == answered, f"{answered} answered of {accepted}"

    async def idle(self, count: int) -> None:
        """One message at a time, with time between them to settle; a first one warms up."""
        await self.gateway.receive(InboundMessage("bench", "idle", "warm", "idle", "warm"))
        times_file = Path(os.environ["BENCH_TIMES"])
        is_warm = lambda: "sent" in times_file.read_text()  # noqa: E731
        await asyncio.to_thread(wait_for, "the first answer", is_warm)
        with open(os.environ["BENCH_TIMES"], "a", encoding="utf-8") as times:  # noqa: ASYNC230, PTH123
            for number in range(count):
                message = InboundMessage("bench", "idle", f"i{number}", "idle", f"say i{number}")
                await self.gateway.receive(message)
                times.write(f"accepted {time.monotonic()} i{number}\n")
                times.flush()
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Gives everything back."""
        await asyncio.to_thread(self.publisher.close)
        await self.gateway.close()


def raw(broker: str, folder: Path, count: int) -> tuple[float, list[float]]:
    """Chains per second of raw Celery: the best of a few rounds, and peak memory."""
    os.environ |= {"RAW_BROKER": broker, "RAW_DONE": str(folder / "raw-done")}
    from celery import chain

    from benchmarks.raw import a, app, b, c

    app.conf.broker_url = broker
    folder.mkdir(parents=True)
    done = Path(os.environ["RAW_DONE"])
    done.write_text("0")
    ended, best = 0, 0.0
    queues = ("raw.a", "raw.b", "raw.c")
    with workers("benchmarks.raw", queues, {}, folder, "-c", RAW_CONCURRENCY) as running:
        for size in (200, *([count] * ROUNDS)):  # the first warms up
            ended += size
            started = time.monotonic()
            with app.producer_or_acquire() as producer:
                for _ in range(size):
                    chain(a.si(), b.si(), c.si()).apply_async(producer=producer)
            expected = ended
            wait_for("chains", lambda: (done.read_text() or "0") == str(expected), 300)  # noqa: B023
            if size == count:
                best = max(best, count / (time.monotonic() - started))
        return best, [peak_mib(process) for process in running]


def commands(server: redis.Redis) -> tuple[int, int]:
    """Commands that the server has run, those inside scripts included, and scripts run."""
    total = server.info("stats")["total_commands_processed"]
    stats: Any = server.info("commandstats")
    return int(total), int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def loaded(settings: Settings, server: redis.Redis, count: int) -> dict[str, float]:
    """Burst and spread: the best of a few rounds each, and commands per message."""
    load = Load(settings, server)
    try:
        await load.send("warm", 50, 4)
        best = {"burst": 0.0, "spread": 0.0}
        figures: dict[str, float] = {}
        for turn in range(ROUNDS):
            for name, sessions, each in (("burst", count // 40, 40), ("spread", count, 1)):
                before = commands(server)
                rate = await load.send(f"{name}{turn}", sessions, each)
                best[name] = max(best[name], rate)
                total, scripts = commands(server)
                figures[f"{name}_commands"] = (total - before[0]) / count
                figures[f"{name}_scripts"] = (scripts - before[1]) / count
        return best | figures
    finally:
        await load.close()


def added(times: Path) -> list[float]:
    """Milliseconds that Sigil added to each idle message."""
    moments: dict[str, dict[str, float]] = {}
    for line in times.read_text().splitlines():
        what, at, word = line.split()
        moments.setdefault(word, {})[what] = float(at)
    return sorted(
        1000 * ((m["called"] - m["accepted"]) + (m["sent"] - m["answered"]))
        for m in moments.values()
        if m.keys() >= {"accepted", "called", "answered", "sent"}
    )


async def idle(settings: Settings, server: redis.Redis, count: int) -> None:
    """Feeds the timed fleet."""
    load = Load(settings, server)
    try:
        await load.idle(count)
        await asyncio.sleep(1)
    finally:
        await load.close()


def run(folder: Path, count: int, idle_count: int) -> dict[str, float]:
    """Runs everything and prints the figures."""
    valkey = embedded.start(folder / "data")
    os.environ["BENCH_TIMES"] = str(folder / "times")
    (folder / "times").touch()
    try:
        load_file = settings_file(folder, folder / "data", timed=False)
        settings = load_settings(load_file)
        logs.setup(settings)
        timed_file = settings_file(folder, folder / "data", timed=True)
        server = redis.Redis.from_url(valkey.url)
        raw_rate, raw_memory = raw(broker_url(settings), folder / "raw-logs", count)
        print(f"raw Celery, three empty chained tasks   {raw_rate:8.1f} chains/s")
        env = {"SIGIL_CONFIG": str(load_file)}
        with workers("workers", QUEUES, env, folder / "load-logs") as running:
            figures = asyncio.run(loaded(settings, server, count))
            memory = [peak_mib(process) for process in running]
        env = {"SIGIL_CONFIG": str(timed_file)}
        with workers("workers", QUEUES, env, folder / "timed-logs"):
            asyncio.run(idle(load_settings(timed_file), server, idle_count))
        late = added(folder / "times")
        assert len(late) == idle_count, f"{len(late)} of {idle_count} idle messages were timed"
    finally:
        valkey.stop()
    for name, what in (("burst", f"{count // 40} x 40"), ("spread", f"{count} x 1")):
        print(
            f"Sigil, {what:<15} ({name:<6})         {figures[name]:8.1f} messages/s"
            f"   {figures[name] / raw_rate:5.2f} x raw"
            f"   {figures[f'{name}_commands']:5.1f} Redis commands a message,"
            f" in {figures[f'{name}_scripts']:.1f} scripts and the broker's"
        )
    quantiles = statistics.quantiles(late, n=100)
    p50, p99 = quantiles[49], quantiles[98]
    print(f"idle, added latency                      p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    peaks = f"raw {_listed(raw_memory)}, Sigil {_listed(memory)}"
    print(f"peak memory a process, MiB               {peaks}")
    return {
        "burst_ratio": round(figures["burst"] / raw_rate, 3),
        "spread_ratio": round(figures["spread"] / raw_rate, 3),
        "idle_p50_ms": round(p50, 2),
        "idle_p99_ms": round(p99, 2),
    }


def _listed(values: list[float]) -> str:
    return " / ".join(f"{value:.0f}" for value in values)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=2000, help="a multiple of 40 and 100")
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--keep-logs", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sigil-bench-") as folder:
        figures = run(options.keep_logs or Path(folder), options.messages, options.idle)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
