"""What reading streams costs some processes, seen next to what the vendor has sent meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.fleet import ROOT, cpu_seconds
from benchmarks.vendor import Stats

POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """What the vendor had counted, and the CPU seconds of the readers, at about the same time."""

    vendor: Stats
    cpu: float


@contextlib.contextmanager
def vendor(wire: str, tokens: int, rate: float) -> Iterator[int]:
    """A vendor for the length of the block; gives its port."""
    command = [sys.executable, "-m", "benchmarks.vendor", wire, str(tokens), str(rate)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextlib.asynccontextmanager
async def watch(
    port: int, readers: Sequence[subprocess.Popen[bytes]]
) -> AsyncIterator[list[Sample]]:
    """Takes samples until the end of the block."""
    samples: list[Sample] = []

    async def sample() -> None:
        while True:
            stats = await asyncio.to_thread(read_stats, port)
            samples.append(Sample(stats, cpu_of(readers)))
            await asyncio.sleep(POLL_S)

    sampler = asyncio.create_task(sample())
    try:
        yield samples
        await asyncio.sleep(2 * POLL_S)
    finally:
        sampler.cancel()


def cpu_of(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """The CPU seconds that these processes have used so far."""
    return sum(map(cpu_seconds, processes))


def per_token(samples: Sequence[Sample]) -> float:
    """Microseconds of CPU, from the first sample to the last."""
    tokens = samples[-1].vendor.tokens - samples[0].vendor.tokens
    return 1e6 * (samples[-1].cpu - samples[0].cpu) / max(1, tokens)


def find_middle(samples: Sequence[Sample], streams: int) -> Sequence[Sample]:
    """The samples while all streams were open and none had ended; all, if the run was too short
    to have two such samples."""
    middle = [s for s in samples if s.vendor.open == streams and not s.vendor.done]
    return middle if len(middle) > 1 else samples


def read_stats(port: int) -> Stats:
    """What the vendor has counted so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=30) as answer:
        return Stats(**json.load(answer))
