"""Runs every role of Sigil on this machine as child processes, and keeps them running.

Synchronous and light: it waits, and starts again what ends. It imports neither Celery nor a
Redis client. Its children do not outlive it.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sigil.config import Settings
from sigil.errors import SigilError
from sigil.host import embedded, heartbeat
from sigil.host.embedded import EmbeddedValkey
from sigil.host.processes import private_folder, spawn, stop, tail

READY_S = 60.0
# Nothing may be left 8 s after Ctrl-C: turns get 3 s, a process 6 s in all, Valkey 1.5 s.
GRACE_S = 3.0
STOP_S = 6.0
STOP_VALKEY_S = 1.5
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 8.0  # before a process that ended is started again
STEADY_S = 30.0  # after so long the first pause applies again
MAX_LOG_BYTES = 8 * 1024 * 1024
_LOOK_S = 0.1
_ROTATE_S = 5.0

FLOWER_AT = ("127.0.0.1", 5555)
_FLOWER = (
    "celery",
    "-A",
    "workers",
    "flower",
    f"--address={FLOWER_AT[0]}",
    f"--port={FLOWER_AT[1]}",
)


class StartFailed(SigilError):
    """A process ended, or did not become ready, while everything was being started."""

    code = "up.start_failed"


@dataclass
class Child:
    """One process to keep running; `worker` is the role whose sign of life it shows."""

    name: str
    argv: Sequence[str]
    log: Path
    worker: str | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE_S
    due: float = 0.0


class Supervisor:
    """`say` is told in sentences what happens; `port` is the gateway's."""

    def __init__(
        self, settings: Settings, *, port: int, flower: bool, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._say = say
        self._logs = private_folder(private_folder(settings.data_dir) / "logs")
        self._stopping = threading.Event()
        self._valkey: EmbeddedValkey | None = None
        host = settings.gateway.host
        self._address = ("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)  # noqa: S104  # compared, not bound
        self._env = os.environ | {
            "SIGIL_DATA_DIR": str(settings.data_dir),
            "SIGIL_GATEWAY__PORT": str(port),
            "SIGIL_TIMEOUTS__GRACE": str(min(GRACE_S, settings.timeouts.grace)),
        }
        self._pages = [(self._address, "/readyz")] + [(FLOWER_AT, "/healthcheck")] * flower
        self.children = list(self._all(flower))

    def _all(self, flower: bool) -> Iterator[Child]:
        yield self._child("gateway", "sigil", "gateway")
        for role in ("routing", "agent", "outbound"):
            for number in range(1, getattr(self._settings.workers, role).processes + 1):
                name = role if number == 1 else f"{role}-{number}"
                yield self._child(name, "sigil", "worker", role, worker=role)
        if flower:
            yield self._child("flower", *_FLOWER)

    def _child(self, name: str, *module: str, worker: str | None = None) -> Child:
        argv = [sys.executable, "-m", *module]
        return Child(name, argv, self._logs / f"{name}.log", worker)

    def ask_to_stop(self) -> None:
        """Ends `start` and `watch` soon; safe in a signal handler."""
        self._stopping.set()

    def start(self) -> bool:
        """Starts everything and returns when it is ready, or False if asked to stop.

        Raises `ConfigError` from the embedded Valkey, and `StartFailed` with the last lines of
        the log of what ended. The caller stops what runs by then.
        """
        if self._settings.redis.url is None:
            self._valkey = embedded.start(self._settings.data_dir)
        for child in self.children:
            self._spawn(child)
        deadline = time.monotonic() + READY_S
        while not self._ready():
            self._check_start(late=time.monotonic() > deadline)
            if self._stopping.wait(_LOOK_S):
                return False
        return True

    def watch(self) -> None:
        """Starts again what ends, and bounds the logs, until asked to stop."""
        rotate = time.monotonic()
        while not self._stopping.wait(_LOOK_S):
            self._revive_valkey()
            for child in self.children:
                self._revive(child)
            if time.monotonic() >= rotate:
                rotate = time.monotonic() + _ROTATE_S
                for log in self._logs.glob("*.log"):
                    _bound(log)

    def stop(self) -> None:
        """Ends everything, Valkey last, so that workers can hand back their lanes."""
        stop([c.process for c in self.children if c.process is not None], within=STOP_S)
        if self._valkey is not None:
            self._valkey.stop(within=STOP_VALKEY_S)
            self._valkey = None

    def _spawn(self, child: Child) -> None:
        child.process = spawn(child.argv, log=child.log, env=self._env)
        child.started = time.monotonic()

    def _ready(self) -> bool:
        living = {r: heartbeat.alive(self._settings, r) for r in ("routing", "agent", "outbound")}
        workers = [c for c in self.children if c.worker is not None]
        return all(
            c.process is not None and c.process.pid in living[c.worker or ""] for c in workers
        ) and all(_answers(address, path) for address, path in self._pages)

    def _check_start(self, *, late: bool) -> None:
        for child in self.children:
            code = None if child.process is None else child.process.poll()
            if code is not None:
                raise StartFailed(
                    f"{child.name} did not start (exit code {code}); "
                    f"{child.log} ends with:{tail(child.log)}"
                )
        if late:
            raise StartFailed(f"Sigil was not ready within {READY_S:.0f} s; see {self._logs}.")

    def _revive(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.due:
                self._spawn(child)
            return
        code = child.process.poll()
        if code is None:
            return
        if now - child.started > STEADY_S:
            child.pause = FIRST_PAUSE_S
        self._say(
            f"{child.name} ended (exit code {code}) and is started again "
            f"in {child.pause:g} s; see {child.log}"
        )
        child.process = None
        child.due = now + child.pause
        child.pause = min(2 * child.pause, LAST_PAUSE_S)

    def _revive_valkey(self) -> None:
        if self._valkey is None or self._valkey.process.poll() is None:
            return
        code = self._valkey.process.returncode
        self._say(f"valkey ended (exit code {code}) and is started again; see {self._logs}")
        self._valkey.stop()
        self._valkey = None
        self._valkey = embedded.start(self._settings.data_dir)


def _answers(address: tuple[str, int], path: str) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _bound(log: Path) -> None:
    """Keeps a log and one older part of it. Whoever writes to it appends, so goes on at its
    new end; a line that is written in between is lost."""
    if log.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
