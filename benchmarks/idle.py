"""Latency when little is going on: Sigil's own, and that of a raw chain in the same minutes."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import wait_for
from benchmarks.load import Load
from benchmarks.reference import Chains

PAUSE_S = 0.1
_MOMENTS = ("accepted", "called", "answered", "sent")


@dataclass(frozen=True)
class Latency:
    """In milliseconds."""

    p50: float
    p99: float


async def alternate(load: Load, chains: Chains, count: int) -> None:
    """Sends one message, then one chain, and so on, with time between them to settle. The moments
    are noted in the file that BENCH_TIMES names; the first of each kind warms up."""
    times_file = Path(os.environ["BENCH_TIMES"])
    await load.receive("idle", "warm", "warm")
    chains.publish_timed("warm-chain")
    is_warm = lambda: {"sent", "ended"} <= set(times_file.read_text().split())  # noqa: E731
    await asyncio.to_thread(wait_for, "the first answer", is_warm)
    with open(times_file, "a", encoding="utf-8") as times:  # noqa: ASYNC230, PTH123
        for number in range(count):
            await load.receive("idle", f"i{number}", f"say i{number}")
            times.write(f"accepted {time.monotonic()} i{number}\n")
            times.flush()
            await asyncio.sleep(PAUSE_S)
            # Publishing counts for both: Sigil publishes after it has accepted.
            times.write(f"published {time.monotonic()} c{number}\n")
            times.flush()
            chains.publish_timed(f"c{number}")
            await asyncio.sleep(PAUSE_S)
    await asyncio.sleep(1)


def read_latencies(times: Path, count: int) -> tuple[Latency, Latency]:
    """What Sigil added to a message (accepted → model called, and last token → platform called),
    and what a raw chain took (before it was published → its last task ran)."""
    moments: dict[str, dict[str, float]] = {}
    for line in times.read_text().splitlines():
        what, at, word = line.split()
        moments.setdefault(word, {})[what] = float(at)
    added = [
        m["called"] - m["accepted"] + m["sent"] - m["answered"]
        for m in moments.values()
        if m.keys() >= set(_MOMENTS)
    ]
    chains = [
        m["ended"] - m["published"] for m in moments.values() if m.keys() >= {"published", "ended"}
    ]
    assert len(added) == len(chains) == count, f"{len(added)} and {len(chains)} timed of {count}"
    return _sum_up(added), _sum_up(chains)


def _sum_up(seconds: list[float]) -> Latency:
    quantiles = statistics.quantiles(seconds, n=100)
    return Latency(1000 * quantiles[49], 1000 * quantiles[98])
