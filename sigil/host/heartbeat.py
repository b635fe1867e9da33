"""Signs of life of the worker processes on this machine, one small file per process.

`sigil worker ROLE --check` and `sigil up` read them. They say that the process's event loop
turns, not that Redis answers: starting a worker anew does not bring Redis back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path

from sigil.config import Settings
from sigil.errors import ConfigError

EVERY_S = 2.0
FRESH_S = 15.0


def _folder(settings: Settings) -> Path:
    """Not in data_dir, which a container may not be able to write to."""
    url = settings.redis.url.get_secret_value() if settings.redis.url else ""
    which = "\0".join((str(settings.data_dir), settings.redis.prefix, url))
    digest = hashlib.sha256(which.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sigil-{os.getuid()}" / digest


class Heartbeat:
    """This process's sign of life. `beat` it every `EVERY_S` seconds, `end` it on a clean exit."""

    def __init__(self, settings: Settings, role: str) -> None:
        """Raises `ConfigError` if the folder belongs to somebody else."""
        folder = _folder(settings)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.parent.chmod(0o700)  # fails for a folder that another user put there
        except OSError as error:
            raise ConfigError(f"{folder} cannot be used: {error.strerror}.") from None
        self._path = folder / f"{role}-{os.getpid()}"

    def beat(self) -> None:
        """Renews the sign; a full disk is not worth an error."""
        with contextlib.suppress(OSError):
            self._path.touch(mode=0o600)

    def end(self) -> None:
        """Takes the sign away."""
        self._path.unlink(missing_ok=True)


def alive(settings: Settings, role: str) -> set[int]:
    """The pids of this machine's worker processes of a role that showed life lately."""
    oldest = time.time() - FRESH_S
    found = set()
    for path in _folder(settings).glob(f"{role}-*"):
        pid = int(path.name.rpartition("-")[2])
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            if path.stat().st_mtime >= oldest:
                found.add(pid)
                continue
            continue
        path.unlink(missing_ok=True)
    return found
