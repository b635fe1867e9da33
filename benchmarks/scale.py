"""How Sigil scales: with more agent processes, and with more people who are not there just now.

With a model that takes 0.2 s and 20 slots a process, an agent process can do 100 messages a
second; that is the ideal that shares are given of. With 1,000, 100,000 and 1,000,000 idle
sessions the cost of a message must stay the same.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import redis

from benchmarks.costs import Meter
from benchmarks.fleet import ROOT, cpu_seconds, processes
from benchmarks.idle_sessions import IdleSessions
from benchmarks.load import Load, settings_file
from benchmarks.peers import SlowModel
from benchmarks.rounds import WORKLOADS, Size
from sigil.config import Settings, load_settings
from sigil.host import embedded, logs
from sigil.host.embedded import EmbeddedValkey

AGENTS = [1, 2, 3]
IDLE_SESSIONS = [1_000, 100_000, 1_000_000]
SLOTS = 20
SESSIONS = 200
EACH = 15
SWEEPS = 20


def measure_scale(
    folder: Path, agents: Sequence[int], idle_sessions: Sequence[int], size: Size
) -> dict[str, Any]:
    """Runs both parts, prints the figures, and returns them."""
    return {
        "shares": _measure_agents(folder / "agents", agents),
        **_measure_sessions(folder / "sessions", idle_sessions, size),
    }


def fleet(
    agents: int, env: Mapping[str, str], logs_folder: Path
) -> AbstractContextManager[list[subprocess.Popen[bytes]]]:
    """One worker process for routing, one for outbound, and some for turns."""
    names = {"routing": "routing", "outbound": "outbound"}
    names |= {f"agent{n}": "agent" for n in range(agents)}
    celery = ("-m", "celery", "-A", "workers", "worker", "--without-gossip", "--without-mingle")
    commands = {
        name: [*celery, "-Q", f"sigil.{role}", "-n", f"{name}@%h"] for name, role in names.items()
    }
    return processes(commands, env, logs_folder)


# ---------------------------------------------------------------- more agents


def _measure_agents(folder: Path, agents: Sequence[int]) -> dict[str, float]:
    """The share of the ideal, by the number of agent processes."""
    folder.mkdir(parents=True)
    file = settings_file(folder, "slow", model="slow/slow", slots=SLOTS)
    settings = load_settings(file)
    logs.setup(settings)
    valkey = embedded.start(folder / "data")
    shares = {}
    try:
        for count in agents:
            with fleet(count, {"SIGIL_CONFIG": str(file)}, folder / f"logs{count}"):
                rate = asyncio.run(_load_agents(settings, count))
            ideal = count * SLOTS / SlowModel.seconds
            shares[str(count)] = round(rate / ideal, 3)
            print(
                f"{count} agent process(es), model of {SlowModel.seconds} s, {SLOTS} slots each: "
                f"{rate:6.1f} of {ideal:.0f} messages/s, {100 * rate / ideal:.0f} %"
            )
    finally:
        valkey.stop()
    return shares


async def _load_agents(settings: Settings, agents: int) -> float:
    async with Load(settings) as load:
        await load.warm_up()
        return await load.send(f"slow{agents}", SESSIONS, EACH)


# ---------------------------------------------------------------- more idle sessions


def _measure_sessions(folder: Path, counts: Sequence[int], size: Size) -> dict[str, Any]:
    folder.mkdir(parents=True)
    file = settings_file(folder, "load")
    settings = load_settings(file)
    logs.setup(settings)
    env = {"SIGIL_CONFIG": str(file)}
    idle = IdleSessions(settings, folder)
    found: dict[str, dict[str, float]] = {}
    valkey = embedded.start(folder / "data")
    try:
        with fleet(1, env, folder / "logs"):
            asyncio.run(idle.take_template(settings, valkey))
        for count in filter(idle.have_room, sorted(counts)):
            idle.grow_to(count, valkey)
            with fleet(1, env, folder / f"logs{count}") as running:
                figures = asyncio.run(_load_sessions(settings, valkey, running, str(count), size))
            figures |= _time_commands(env) | idle.measure_memory(valkey)
            valkey, figures["restart_s"] = _restart(valkey, folder / "data")
            _print_sessions(count, figures)
            found[str(count)] = figures
    finally:
        valkey.stop(within=60)
    return {"sessions": found} | {
        f"flat_{name}": _divide_extremes([figures[f"{name}_us"] for figures in found.values()])
        for name in ("burst", "spread")
    }


async def _load_sessions(
    settings: Settings,
    valkey: EmbeddedValkey,
    running: Sequence[subprocess.Popen[bytes]],
    name: str,
    size: Size,
) -> dict[str, float]:
    """CPU of a message in all processes, and how long a sweep takes."""
    server = redis.Redis.from_url(valkey.url)
    clocks = {str(n): partial(cpu_seconds, p) for n, p in enumerate((valkey.process, *running))}
    meter = Meter(server, clocks | {"driver": time.process_time})
    costs: dict[str, list[float]] = {"burst": [], "spread": []}
    sweeps = []
    async with Load(settings) as load:
        await load.warm_up()
        for turn in range(size.rounds):
            for workload, each in WORKLOADS.items():
                meter.start()
                await load.send(f"{workload}{turn}-{name}", size.messages // each, each)
                costs[workload].append(meter.stop(size.messages).total_us)
        for _ in range(SWEEPS):
            started = time.perf_counter()
            await load.gateway.stores.lanes.sweep(100)
            sweeps.append(1000 * (time.perf_counter() - started))
    medians = {f"{name}_us": round(statistics.median(us), 1) for name, us in costs.items()}
    return medians | {"sweep_ms": round(statistics.median(sweeps), 2)}


def _time_commands(env: Mapping[str, str]) -> dict[str, float]:
    """Seconds that the commands take, the start of Python included."""
    seconds = {}
    for name, options in (("status_s", []), ("verify_s", ["--verify"])):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "sigil", "status", *options],
            cwd=ROOT,
            env={**os.environ, **env},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds[name] = round(time.monotonic() - started, 2)
    return seconds


def _restart(valkey: EmbeddedValkey, data: Path) -> tuple[EmbeddedValkey, float]:
    valkey.stop(within=60)
    started = time.monotonic()
    valkey = embedded.start(data)
    return valkey, round(time.monotonic() - started, 2)


def _print_sessions(count: int, figures: Mapping[str, float]) -> None:
    print(
        f"{count:9,} idle sessions: CPU us a message {figures['burst_us']:.0f} (burst), "
        f"{figures['spread_us']:.0f} (spread); sweep {figures['sweep_ms']:.1f} ms, "
        f"status {figures['status_s']:.1f} s, verify {figures['verify_s']:.1f} s, "
        f"restart {figures['restart_s']:.1f} s; {figures['keys']:,.0f} keys, "
        f"{figures['used_mib']:,.0f} MiB (peak {figures['peak_mib']:,.0f})"
    )


def _divide_extremes(values: list[float]) -> float:
    """How many times the least the most is."""
    return round(max(values) / min(values), 3) if values else 0.0
