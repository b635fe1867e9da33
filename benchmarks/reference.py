"""What Sigil is compared with: raw Celery, chains of three empty tasks."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fleet import wait_for, workers

QUEUES = ("raw.a", "raw.b", "raw.c")
CONCURRENCY = "8"
WITHIN_S = 300.0


class Chains:
    """Publishes chains, for one worker process per task."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], done: Path) -> None:
        self.processes = processes
        self._done = done
        self._ended = 0

    def run(self, count: int) -> float:
        """Runs `count` chains, a multiple of 100. Returns chains per second, from the first that
        was published to the last that ended."""
        from celery import chain

        from benchmarks.raw import a, app, b, c

        self._ended += count
        started = time.monotonic()
        with app.producer_or_acquire() as producer:
            for _ in range(count):
                chain(a.si(), b.si(), c.si()).apply_async(producer=producer)
        expected = str(self._ended)
        wait_for("chains", lambda: self._done.read_text() == expected, WITHIN_S)
        return count / (time.monotonic() - started)

    def publish_timed(self, word: str) -> None:
        """Publishes one chain, whose last task notes in BENCH_TIMES when it ran."""
        from celery import chain

        from benchmarks.raw import a, b, c

        chain(a.si(), b.si(), c.si(word)).apply_async()


@contextmanager
def raw_celery(broker: str, folder: Path) -> Iterator[Chains]:
    """The three workers, with their logs in `folder`."""
    folder.mkdir(parents=True)
    done = folder / "done"
    done.write_text("0")
    os.environ |= {"RAW_BROKER": broker, "RAW_DONE": str(done)}
    from benchmarks.raw import app

    app.conf.broker_url = broker
    with workers("benchmarks.raw", QUEUES, {}, folder, "-c", CONCURRENCY) as processes:
        yield Chains(processes, done)
