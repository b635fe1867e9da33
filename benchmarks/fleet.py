"""The processes of a benchmark: a private Valkey, and workers that are waited for and ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


def wait_for(what: str, is_true: Callable[[], bool], within: float = 60.0) -> None:
    """Polls every 5 ms. Raises `TimeoutError`."""
    deadline = time.monotonic() + within
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:.0f} s")
        time.sleep(0.005)


@contextlib.contextmanager
def workers(
    app: str, queues: Sequence[str], env: Mapping[str, str], logs: Path, *args: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """One Celery worker process per queue. They may still be starting: warm up."""
    running: list[subprocess.Popen[bytes]] = []
    logs.mkdir(parents=True, exist_ok=True)
    files = [logs / f"{queue}.log" for queue in queues]
    try:
        for queue, file in zip(queues, files, strict=True):
            command = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queue]
            command += ["-n", f"{queue}@%h", "--without-gossip", "--without-mingle", *args]
            with file.open("wb") as log:
                running.append(
                    subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log)
                )
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def peak_mib(process: subprocess.Popen[bytes]) -> float:
    """The most memory that a process has had in RAM, in MiB (Linux)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
