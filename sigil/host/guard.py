"""Ends what a `sigil up` that was killed leaves behind, as it would have done itself.

    stdin ends → SIGTERM to gateway and workers → they hand back → SIGTERM to Valkey → this ends

`sigil up` runs this file as a process of its own, and its stdin is a pipe that only `sigil up` can
write to: the pipe ends when `sigil up` does, even on `kill -9`. Each line in it names the processes
that run now. Valkey is found by its lock instead, which the server itself holds.

The process also holds the lock of the data folder. So another `sigil up` waits until nothing of the
first one runs any more.

It runs as `python -I -S guard.py`, with the standard library alone, to be small.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

END_SERVER_WITHIN_S = 3.0
_LOOK_AGAIN_S = 0.02


def _ignore(text: str) -> None:
    """Nobody is there to be told."""


def end_server(lock: Path, say: Callable[[str], None] = _ignore) -> bool:
    """Ends the Valkey that holds this lock: by SIGTERM, and by SIGKILL if that does not help.

    Returns whether the lock is free. It is not if the server waits for a disk that hangs, since
    then not even SIGKILL ends it.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if is_free(lock):
            return True
        pid = find_server(lock)
        if pid is not None:
            say(f"Ending the Valkey that an earlier start left (process {pid}, {number.name}) …")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        _wait_until(lambda: is_free(lock), within=END_SERVER_WITHIN_S)
    return is_free(lock)


def is_free(lock: Path) -> bool:
    """Whether no process holds the lock."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def find_server(lock: Path) -> int | None:
    """The process that wrote its id into the lock, if that is a Valkey. Only then is it the one
    that holds the lock: another program may have got the id of one that has ended."""
    try:
        pid = int(lock.read_text(encoding="ascii"))
        if Path("/proc/self").exists():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        else:  # macOS
            asked = ["/bin/ps", "-o", "command=", "-p", str(pid)]
            command = subprocess.run(asked, capture_output=True, check=False).stdout  # noqa: S603
    except (OSError, ValueError):
        return None
    return pid if b"valkey-server" in command else None


def _end_children(pids: Iterable[int], within: float) -> None:
    running = set(pids)

    def signal_all(number: int) -> bool:
        """Whether none of them is left."""
        for pid in list(running):
            try:
                os.kill(pid, number)
            except OSError:  # it has ended
                running.discard(pid)
        return not running

    signal_all(signal.SIGTERM)
    if not _wait_until(lambda: signal_all(0), within=within):
        signal_all(signal.SIGKILL)


def _wait_until(condition: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


def _guard(within: float, locks: Iterable[Path]) -> None:
    """`within`: the seconds that gateway and workers get to hand back. `locks`: that of the
    embedded Valkey, if there is one."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it is the last to go
    pids: list[int] = []
    for line in sys.stdin:
        pids = [int(word) for word in line.split()]
    _end_children(pids, within)
    for lock in locks:
        end_server(lock)


if __name__ == "__main__":
    _guard(float(sys.argv[1]), map(Path, sys.argv[2:]))
