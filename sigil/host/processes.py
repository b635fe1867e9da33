"""Child processes: started with nothing of ours that they do not need, and ended for certain."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
KILLED_WITHIN_S = 5.0
# Loaded now, since nothing may be loaded between fork and exec.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    keep: int | None = None,
    lock: int | None = None,
    with_parent: bool = True,
) -> subprocess.Popen[bytes]:
    """Starts a process and appends its output to `log`. Raises `OSError`.

    The process gets a session of its own: Ctrl-C in a terminal signals the whole foreground
    group, and only the parent should receive it. The files that it makes belong to its owner alone.

    `with_parent`: on Linux the process gets SIGTERM when the thread that called `spawn` ends, so
    that even `kill -9` of the parent leaves nothing behind. `keep` is the open file of a lock that
    the process holds as well from now on; `lock` likewise, and it writes its id into that one.
    """

    def prepare() -> None:
        """Runs in the child before exec. It makes system calls only, which is safe there."""
        if with_parent and _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if lock is not None:
            os.pwrite(lock, b"%-10d\n" % os.getpid(), 0)

    with os.fdopen(os.open(log, _APPEND, 0o600), "ab") as output:
        return subprocess.Popen(  # noqa: S603  # no shell, and the arguments are ours
            list(argv),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            umask=0o077,
            pass_fds=[each for each in (keep, lock) if each is not None],
            start_new_session=True,
            preexec_fn=prepare,
        )


def stop(processes: Sequence[subprocess.Popen[bytes]], *, within: float) -> None:
    """Sends SIGTERM to all, and SIGKILL to those that still run `within` seconds later."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + within
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            # A process that waits for a disk that hangs does not even end then.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILLED_WITHIN_S)


def tail(path: Path, lines: int = 10, *, since: int = 0) -> str:
    """The last lines of a log, each indented on a line of its own; "" if there is no log.

    Those before the byte `since` are left out, unless the log has been cut since then.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            file.seek(max(0, size - 8192, since if since <= size else 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in text.splitlines()[-lines:])
