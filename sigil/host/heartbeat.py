"""Signs of life of the gateway and worker processes on this machine: one small file for each.

`sigil worker ROLE --check` and `sigil up` read them. A sign shows that the process's event loop
runs, not that Redis is up: restarting a worker would not bring Redis back.
"""

from __future__ import annotations

import asyncio
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


def _find_folder(settings: Settings) -> Path:
    """The folder for this installation's signs, below the system's folder for temporary files.

    Its name is a digest of what tells two Sigils on one machine apart. It is not in data_dir,
    which a container may not be able to write to.
    """
    url = settings.redis.url.get_secret_value() if settings.redis.url else ""
    installation = "\0".join((str(settings.data_dir), settings.redis.prefix, url))
    digest = hashlib.sha256(installation.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sigil-{os.getuid()}" / digest


class Heartbeat:
    """This process's sign of life."""

    def __init__(self, settings: Settings, role: str) -> None:
        """Raises `ConfigError` if the folder belongs to another user."""
        folder = _find_folder(settings)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.parent.chmod(0o700)  # fails for a folder that another user put there
        except OSError as error:
            raise ConfigError(f"{folder} cannot be used: {error.strerror}.") from None
        self._path = folder / f"{role}-{os.getpid()}"

    def beat(self) -> None:
        """Renews the sign. A full disk is not worth an error."""
        with contextlib.suppress(OSError):
            self._path.touch(mode=0o600)

    async def keep(self) -> None:
        """Renews the sign as long as the event loop runs: a chore of the process."""
        try:
            while True:
                await asyncio.to_thread(self.beat)
                await asyncio.sleep(EVERY_S)
        finally:
            self.end()

    def end(self) -> None:
        """Removes the sign."""
        self._path.unlink(missing_ok=True)


def read_signs(settings: Settings, role: str = "*") -> dict[int, int]:
    """When each process of a role on this machine gave its last sign, in nanoseconds of the file
    system's clock, by process id.

    Removes the signs of processes that no longer exist.
    """
    signs = {}
    for path in _find_folder(settings).glob(f"{role}-*"):
        pid = int(path.name.rpartition("-")[2])
        try:
            os.kill(pid, 0)  # signal 0 only asks whether the process exists
            signs[pid] = path.stat().st_mtime_ns
        except OSError:
            path.unlink(missing_ok=True)
    return signs


def find_live_workers(settings: Settings, role: str) -> set[int]:
    """The process ids of this machine's processes of a role whose sign is fresh."""
    oldest = (time.time() - FRESH_S) * 1e9
    return {pid for pid, sign in read_signs(settings, role).items() if sign >= oldest}
