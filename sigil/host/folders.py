"""Folders and files that belong to one user, and to one process at a time.

Two Valkeys that write the same append-only file would destroy it, and two `sigil up` on one
folder would start two of them. So a process takes the lock of a folder before it uses it:

    lock = FolderLock(private_folder(data_dir) / "lock", "Sigil")
    …
    lock.release()

The lock is `flock` on an open file. The kernel drops it when the process ends, even on
`kill -9`, so that no stale lock is ever left to be cleaned up by hand.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sigil.errors import ConfigError


def private_folder(path: Path) -> Path:
    """Makes the folder, readable by its owner alone, unless it exists. Raises `ConfigError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be used: {error.strerror}.", hint="Set data_dir to another folder."
        ) from None
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a file that its owner alone can read, replacing what was in it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


class FolderLock:
    """The right to use a folder. The file holds the process id of its holder, for the message
    that others get."""

    def __init__(self, path: Path, what: str) -> None:
        """Takes the lock. `what` names the program in the error.

        Raises `ConfigError` with the holder's process id if another process has it.
        """
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
        """Lets another process use the folder. Call it once."""
        os.close(self._fd)
