"""Runs every role of Sigil on this machine as child processes, and keeps them running.

    start:  Valkey → gateway and workers → wait until all are ready
    watch:  start again what ends, keep the logs small
    stop:   gateway and workers → Valkey

It is synchronous and light: it waits and imports neither Celery nor a Redis client. Its children
do not outlive it.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sigil.config import Settings
from sigil.config.addresses import local_host
from sigil.config.schema import WORKER_ROLES, WorkerRole
from sigil.host import embedded
from sigil.host.child import Child, StartFailed
from sigil.host.embedded import EmbeddedValkey
from sigil.host.folders import private_folder
from sigil.host.heartbeat import find_live_workers
from sigil.host.pages import fetch_page
from sigil.host.processes import stop

READY_WITHIN_S = 60.0
# Nothing may be left 8 s after Ctrl-C: turns get 3 s, a process 6 s in all, Valkey 1.5 s.
GRACE_S = 3.0
STOP_WITHIN_S = 6.0
STOP_VALKEY_WITHIN_S = 1.5
MAX_LOG_BYTES = 8 * 1024 * 1024
_LOOK_EVERY_S = 0.1
_ROTATE_EVERY_S = 5.0
_PAGE_WITHIN_S = 2.0

FLOWER_AT = ("127.0.0.1", 5555)
_FLOWER = (
    "celery",
    "-A",
    "workers",
    "flower",
    f"--address={FLOWER_AT[0]}",
    f"--port={FLOWER_AT[1]}",
)


class Supervisor:
    """The processes of one `sigil up`. It is synchronous; `ask_to_stop` may come from a signal."""

    def __init__(
        self, settings: Settings, *, port: int, flower: bool, say: Callable[[str], None]
    ) -> None:
        """`port` is the gateway's. `say` shows a sentence to the person who started it."""
        self._settings = settings
        self._say = say
        self._logs = private_folder(private_folder(settings.data_dir) / "logs")
        self._stopping = threading.Event()
        self._valkey: EmbeddedValkey | None = None
        self._env = os.environ | {
            "SIGIL_DATA_DIR": str(settings.data_dir),
            "SIGIL_GATEWAY__PORT": str(port),
            "SIGIL_TIMEOUTS__GRACE": str(min(GRACE_S, settings.timeouts.grace)),
        }
        self._pages = [(local_host(settings.gateway.host), port, "/readyz")]
        if flower:
            self._pages.append((*FLOWER_AT, "/healthcheck"))
        self.children = list(self._make_children(flower))

    def _make_children(self, flower: bool) -> Iterator[Child]:
        def child(name: str, *module: str, worker: WorkerRole | None = None) -> Child:
            argv = [sys.executable, "-m", *module]
            return Child(name, argv, self._env, self._logs / f"{name}.log", worker)

        yield child("gateway", "sigil", "gateway")
        for role in WORKER_ROLES:
            for number in range(1, getattr(self._settings.workers, role).processes + 1):
                name = role if number == 1 else f"{role}-{number}"
                yield child(name, "sigil", "worker", role, worker=role)
        if flower:
            yield child("flower", *_FLOWER)

    def ask_to_stop(self) -> None:
        """Makes `start` and `watch` return soon. Safe in a signal handler."""
        self._stopping.set()

    def start(self) -> bool:
        """Starts everything and returns True when all is ready, or False if asked to stop.

        Raises `ConfigError` from the embedded Valkey, and `StartFailed` with the last lines of
        the log of the process that ended. The caller then stops what runs.
        """
        if self._settings.redis.url is None:
            self._valkey = embedded.start(self._settings.data_dir)
        for child in self.children:
            child.start()
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            for child in self.children:
                child.check_start()
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"Sigil was not ready within {READY_WITHIN_S:.0f} s; see {self._logs}."
                )
            if self._stopping.wait(_LOOK_EVERY_S):
                return False
        return True

    def watch(self) -> None:
        """Starts again what ends, and bounds the logs, until asked to stop."""
        rotate_at = time.monotonic()
        while not self._stopping.wait(_LOOK_EVERY_S):
            self._revive_valkey()
            for child in self.children:
                if news := child.revive():
                    self._say(news)
            if time.monotonic() >= rotate_at:
                rotate_at = time.monotonic() + _ROTATE_EVERY_S
                for log in self._logs.glob("*.log"):
                    _rotate_log(log)

    def stop(self) -> None:
        """Ends everything. Valkey goes last, so that workers can still hand back their lanes."""
        running = [child.process for child in self.children if child.process is not None]
        stop(running, within=STOP_WITHIN_S)
        if self._valkey is not None:
            self._valkey.stop(within=STOP_VALKEY_WITHIN_S)
            self._valkey = None

    def _is_ready(self) -> bool:
        live = {role: find_live_workers(self._settings, role) for role in WORKER_ROLES}
        for child in self.children:
            if child.worker is not None and (
                child.process is None or child.process.pid not in live[child.worker]
            ):
                return False
        for host, port, path in self._pages:
            page = fetch_page(host, port, path, timeout=_PAGE_WITHIN_S)
            if page is None or page[0] != 200:
                return False
        return True

    def _revive_valkey(self) -> None:
        if self._valkey is None or self._valkey.process.poll() is None:
            return
        code = self._valkey.process.returncode
        self._say(f"valkey ended (exit code {code}) and is started again; see {self._logs}")
        self._valkey.stop()
        self._valkey = None
        self._valkey = embedded.start(self._settings.data_dir)


def _rotate_log(log: Path) -> None:
    """Moves a log that has grown large to `.log.1`, and empties it in place.

    The process that writes to it has it open for appending, so it goes on at the new end. A line
    that is written between the copy and the cut is lost.
    """
    if log.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
