"""The processes of a benchmark: a private Valkey, and workers that are waited for and ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def wait_for(
    what: str, is_true: Callable[[], bool], within: float = 60.0, every: float = 0.005
) -> None:
    """Polls `every` so many seconds. Raises `TimeoutError`."""
    deadline = time.monotonic() + within
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:.0f} s")
        time.sleep(every)


@contextlib.contextmanager
def processes(
    commands: Mapping[str, Sequence[str]], env: Mapping[str, str], logs: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Python processes, by the names of their logs, from here to the end of the block."""
    running: list[subprocess.Popen[bytes]] = []
    logs.mkdir(parents=True, exist_ok=True)
    try:
        for name, command in commands.items():
            with (logs / f"{name}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [sys.executable, *command],
                        env={**os.environ, **env},
                        cwd=ROOT,
                        stdout=log,
                        stderr=log,
                    )
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


def workers(
    app: str, queues: Sequence[str], env: Mapping[str, str], logs: Path, *args: str
) -> AbstractContextManager[list[subprocess.Popen[bytes]]]:
    """One Celery worker process per queue. They may still be starting: warm up."""
    commands = {}
    for queue in queues:
        command = ["-m", "celery", "-A", app, "worker", "-Q", queue]
        commands[queue] = [*command, "-n", f"{queue}@%h", "--without-gossip", "--without-mingle"]
        commands[queue] += args
    return processes(commands, env, logs)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """The CPU that a process has used so far, in all its threads (Linux)."""
    # The second field, the program's name, may have spaces and parentheses in it.
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(process: subprocess.Popen[bytes]) -> float:
    """The memory that a process has in RAM, in MiB (Linux)."""
    return _mib(process, "VmRSS:")


def peak_mib(process: subprocess.Popen[bytes]) -> float:
    """The most memory that a process has had in RAM, in MiB (Linux)."""
    return _mib(process, "VmHWM:")


def free_mib() -> float:
    """The memory of the machine that processes may still take, in MiB (Linux)."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / 1024


def _mib(process: subprocess.Popen[bytes], what: str) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0
