"""Folders and files that belong to one user, and to one process at a time.

Two Valkeys that write the same append-only file would destroy it, and two `sigil up` on one
folder would start two of them. So a process takes the lock of a folder before it uses it:

    lock = FolderLock(private_folder(data_dir) / "lock", "Sigil")
    …
    lock.release()

The lock is `flock` on an open file. The kernel drops it when all processes that have the file open
have ended, even on `kill -9`, so that no stale lock is ever left to be cleaned up by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from sigil.errors import ConfigError

_LOOK_AGAIN_S = 0.05


def private_folder(path: Path) -> Path:
    """Makes the folder, readable by its owner alone, unless it exists. Raises `ConfigError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _describe_unusable(path, error) from None
    return path


def _describe_unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{folder} cannot be used: {error.strerror}.", hint="Set data_dir to another folder."
    )


def write_private(path: Path, text: str) -> None:
    """Writes a file that its owner alone can read. Raises `OSError`; then the file is as it was."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


class FolderLock:
    """The right to use a folder. The file holds the process id of its holder, for the message
    that others get."""

    def __init__(
        self,
        path: Path,
        what: str,
        *,
        patience: float = 0.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Takes the lock. `what` names the program in the error.

        If the holder has ended, but a process that it started still has the lock, waits for that
        one for at most `patience` seconds, and says so. Raises `ConfigError` with the holder's
        process id if the lock stays with somebody else, and if the folder cannot be written to.
        """
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _describe_unusable(path.parent, error) from None
        deadline = time.monotonic() + patience
        waited_for = ""
        while not self._try():
            holder = self._read_holder()
            if _exists(holder) or time.monotonic() >= deadline:
                os.close(self._fd)
                raise ConfigError(
                    f"{what} already runs on {path.parent} (process {holder or 'unknown'}).",
                    hint="Stop it first, or set data_dir to another folder.",
                )
            if holder != waited_for:
                say(f"Waiting for what an earlier start (process {holder}) left running …")
                waited_for = holder
            time.sleep(_LOOK_AGAIN_S)
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def fileno(self) -> int:
        """The open file, for a process that shall hold the lock too."""
        return self._fd

    def release(self) -> None:
        """Lets another process use the folder. Call it once."""
        os.close(self._fd)

    def _try(self) -> bool:
        with contextlib.suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _read_holder(self) -> str:
        return os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()


def _exists(process: str) -> bool:
    """Whether a process has this id. It may be another one than the one that wrote it down."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
