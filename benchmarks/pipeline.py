"""Sigil's whole path against raw Celery, on one machine in one run.

(a) raw Celery: chains of three empty tasks, one worker process per task;
(b) Sigil with the echo provider and a memory sender, one worker process per role, as
    50 sessions x 40 messages (burst) and as 2,000 sessions x 1 message (spread).
Same Valkey, same number of processes. Both fleets run all the time, and each round measures both,
one after the other, since a shared machine is not equally fast all the time: a ratio is that of
one round, and what is printed is the median of the rounds.

Then the latency when idle, a message and a raw chain in turns: what Sigil adds (accepted →
provider called, plus last token → sender called), and what a chain takes.

    python benchmarks/pipeline.py [--messages 2000] [--idle 200] [--keep-logs FOLDER]
    python benchmarks/pipeline.py --scale [--idle-sessions 1000 100000 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.costs import Meter, measure_bytes, sum_of_messages
from benchmarks.fleet import cpu_seconds, peak_mib, workers
from benchmarks.idle import Latency, alternate, read_latencies
from benchmarks.load import QUEUES, Load, settings_file
from benchmarks.reference import QUEUES as RAW_QUEUES
from benchmarks.reference import Chains, raw_celery
from benchmarks.rounds import WORKLOADS, Rounds, Size
from benchmarks.scale import AGENTS, IDLE_SESSIONS, measure_scale
from sigil.config import Settings, load_settings
from sigil.host import embedded, logs
from sigil.host.embedded import EmbeddedValkey
from workers.broker import url as broker_url


async def measure_load(
    settings: Settings, chains: Chains, size: Size, meter: Meter, raw_meter: Meter
) -> Rounds:
    """Raw Celery, burst and spread in turns."""
    rounds, count = Rounds(), size.messages
    async with Load(settings) as load:
        await asyncio.to_thread(chains.run, 200)
        await load.warm_up()
        for turn in range(size.rounds):
            raw_meter.start()
            rounds.add_raw(await asyncio.to_thread(chains.run, count), raw_meter.stop(count))
            for name, each in WORKLOADS.items():
                meter.start()
                rate = await load.send(f"{name}{turn}", count // each, each)
                rounds.add(name, rate, meter.stop(count))
        rounds.messages = await load.count("answered")
    return rounds


async def measure_idle(settings: Settings, chains: Chains, count: int) -> None:
    """Feeds the timed fleet and raw Celery."""
    async with Load(settings) as load:
        await alternate(load, chains, count)


def measure_all(folder: Path, size: Size) -> dict[str, float]:
    """Runs both fleets, prints the figures, and returns them."""
    valkey = embedded.start(folder / "data")
    times = folder / "times"
    times.touch()
    os.environ["BENCH_TIMES"] = str(times)
    load_file = settings_file(folder, "load")
    timed_file = settings_file(
        folder, "timed", channel="benchmarks.peers:TimedChannel", model="timed/timed"
    )
    settings = load_settings(load_file)
    logs.setup(settings)
    server = redis.Redis.from_url(valkey.url)
    try:
        with raw_celery(broker_url(settings), folder / "raw-logs") as chains:
            env = {"SIGIL_CONFIG": str(load_file)}
            with workers("workers", QUEUES, env, folder / "load-logs") as running:
                meter = Meter(server, _list_clocks(valkey, QUEUES, running))
                raw = Meter(server, _list_clocks(valkey, RAW_QUEUES, chains.processes))
                rounds = asyncio.run(measure_load(settings, chains, size, meter, raw))
                peaks = [[peak_mib(p) for p in fleet] for fleet in (chains.processes, running)]
            kept = sum_of_messages(measure_bytes(server, settings.redis.prefix)) / rounds.messages
            env = {"SIGIL_CONFIG": str(timed_file)}
            with workers("workers", QUEUES, env, folder / "timed-logs"):
                asyncio.run(measure_idle(load_settings(timed_file), chains, size.idle))
        ours, raws = read_latencies(times, size.idle)
    finally:
        valkey.stop()
    rounds.print_figures()
    _print_idle(ours, raws)
    print(f"bytes a message, 25 h after its end   {kept:8.1f}")
    print(f"peak memory a process, MiB            raw {_list(peaks[0])}, Sigil {_list(peaks[1])}")
    return rounds.sum_up() | {
        "idle_p50_ms": round(ours.p50, 2),
        "idle_p99_ms": round(ours.p99, 2),
        "idle_ratio": round(ours.p50 / raws.p50, 3),
        "idle_p99_ratio": round(ours.p99 / raws.p99, 3),
        "bytes_per_message": round(kept, 1),
    }


def _list_clocks(
    valkey: EmbeddedValkey, queues: Sequence[str], fleet: Sequence[subprocess.Popen[bytes]]
) -> dict[str, Callable[[], float]]:
    clocks: dict[str, Callable[[], float]] = {
        "driver": time.process_time,
        "Valkey": partial(cpu_seconds, valkey.process),
    }
    for queue, process in zip(queues, fleet, strict=True):
        clocks[queue.removeprefix("sigil.")] = partial(cpu_seconds, process)
    return clocks


def _print_idle(ours: Latency, raws: Latency) -> None:
    print(
        f"idle, added by Sigil / a raw chain      p50 {ours.p50:.1f} / {raws.p50:.1f} ms "
        f"({ours.p50 / raws.p50:.2f} x), p99 {ours.p99:.1f} / {raws.p99:.1f} ms "
        f"({ours.p99 / raws.p99:.2f} x)"
    )


def _list(values: list[float]) -> str:
    return " / ".join(f"{value:.0f}" for value in values)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=2000, help="a multiple of 200")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--keep-logs", type=Path)
    parser.add_argument("--scale", action="store_true", help="measure more agents and sessions")
    parser.add_argument("--agents", type=int, nargs="*", default=AGENTS)
    parser.add_argument("--idle-sessions", type=int, nargs="*", default=IDLE_SESSIONS)
    options = parser.parse_args()
    size = Size(options.messages, options.rounds, options.idle)
    with tempfile.TemporaryDirectory(prefix="sigil-bench-") as temporary:
        folder = options.keep_logs or Path(temporary)
        if options.scale:
            figures = measure_scale(folder, options.agents, options.idle_sessions, size)
        else:
            figures = measure_all(folder, size)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
