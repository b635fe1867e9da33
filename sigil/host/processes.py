"""Child processes that leave nothing behind, and folders that only one process may use."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sigil.errors import ConfigError

_PR_SET_PDEATHSIG = 1
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
# Looked up before any fork: between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def private_folder(path: Path) -> Path:
    """Makes the folder for its owner alone, unless it is there. Raises `ConfigError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be used: {error.strerror}.", hint="Set data_dir to another folder."
        ) from None
    return path


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own, so that a Ctrl-C meant for this process does
    not reach it. On Linux it gets SIGTERM when the calling thread ends. Its output is
    appended to `log`.
    """
    with os.fdopen(os.open(log, _APPEND, 0o600), "ab") as output:
        process = subprocess.Popen(  # noqa: S603  # no shell, and the arguments are ours
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=_die_with_parent,  # it makes one system call
        )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
    return process


def stop(processes: Sequence[subprocess.Popen[bytes]], *, within: float) -> None:
    """SIGTERM to all and, to those still there `within` seconds later, SIGKILL."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + within
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tail(path: Path, lines: int = 10) -> str:
    """The last lines of a log, indented; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in text.splitlines()[-lines:])


class FolderLock:
    """Held by the one process that uses a folder; the system lets go of it when that ends."""

    def __init__(self, path: Path, what: str) -> None:
        """Raises `ConfigError` that names the holder's pid if another process has it."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._fd, 20).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise ConfigError(
                f"{what} already runs on {path.parent} (process {holder or 'unknown'}).",
                hint="Stop it first, or set data_dir to another folder.",
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets others have the folder; once."""
        os.close(self._fd)
