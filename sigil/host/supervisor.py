"""Runs every role of Sigil on this machine as child processes, and keeps them running.

    start:  guard → Valkey → gateway and workers → wait until all are ready
    watch:  start again what ends, replace what hangs, keep the logs small
    stop:   gateway and workers → Valkey → guard

It is synchronous and light: it waits and imports neither Celery nor a Redis client. Its children
do not outlive it: if it is killed, the guard (`sigil.host.guard`) ends them in the same order.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, get_args

from sigil.config import Settings, find_source
from sigil.config.addresses import local_host
from sigil.config.schema import WORKER_ROLES, ProcessRole
from sigil.host import guard
from sigil.host.child import Child, StartFailed
from sigil.host.embedded import EmbeddedValkey
from sigil.host.folders import FolderLock, private_folder
from sigil.host.heartbeat import find_live_workers, read_signs
from sigil.host.pages import fetch_page
from sigil.host.processes import spawn, stop

READY_WITHIN_S = 60.0
# Nothing may be left 8 s after Ctrl-C: turns get 3 s, a process 6 s in all, Valkey 1.5 s.
GRACE_S = 3.0
STOP_WITHIN_S = 6.0
STOP_VALKEY_WITHIN_S = 1.5
STOP_GUARD_WITHIN_S = 0.5
# What the guard of a `sigil up` that was killed takes at most: workers, Valkey, and some room.
GUARD_WITHIN_S = STOP_WITHIN_S + 2 * guard.END_SERVER_WITHIN_S + 3.0
MAX_LOG_BYTES = 8 * 1024 * 1024
# Signs of life are looked for; `sigil.host.child` says how many may be missing.
LOOK_EVERY_S = 2.0
_WAIT_S = 0.1
_ASK_AGAIN_S = 0.02
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
        self,
        settings: Settings,
        *,
        port: int,
        flower: bool,
        lock: FolderLock,
        say: Callable[[str], None],
    ) -> None:
        """`port` is the gateway's. `lock` is that of the data folder; the guard holds it too. `say`
        shows a sentence to the person who started it; `env` is the environment of the children.
        """
        self._settings = settings
        self._lock = lock
        self._say = say
        self._logs = private_folder(private_folder(settings.data_dir) / "logs")
        self._stopping = threading.Event()
        self._server: EmbeddedValkey | None = None
        self._valkey: Child | None = None
        self._guard = Child("guard", self._spawn_guard, self._logs / "guard.log")
        self._guard_input: IO[bytes] | None = None
        self._guarded: list[int] = []
        self._answer = ""
        self.env = os.environ | {
            "SIGIL_DATA_DIR": str(settings.data_dir),
            "SIGIL_GATEWAY__PORT": str(port),
            "SIGIL_TIMEOUTS__GRACE": str(min(GRACE_S, settings.timeouts.grace)),
            # No program is taken from a folder that somebody happens to be in.
            "PYTHONSAFEPATH": "1",
        }
        # The children run in a folder of their own, so they would not find a file in ours.
        if source := find_source():
            self.env["SIGIL_CONFIG"] = str(source.absolute())
        # Not /readyz: workers must also come up while memory is full, or nothing would free any.
        self._pages = [(local_host(settings.gateway.host), port, "/healthz")]
        if flower:
            self._pages.append((*FLOWER_AT, "/healthcheck"))
        self.children = list(self._make_children(flower))

    def _make_children(self, flower: bool) -> Iterator[Child]:
        def child(name: str, *module: str, role: ProcessRole | None = None) -> Child:
            log = self._logs / f"{name}.log"
            argv = [sys.executable, "-m", *module]
            return Child(
                name, partial(spawn, argv, log=log, env=self.env, cwd=self._logs), log, role
            )

        yield child("gateway", "sigil", "gateway", role="gateway")
        for role in WORKER_ROLES:
            for number in range(1, getattr(self._settings.workers, role).processes + 1):
                name = role if number == 1 else f"{role}-{number}"
                yield child(name, "sigil", "worker", role, role=role)
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
            self._take_data()
        self._guard.start()
        if self._server is not None and not self._start_valkey(self._server):
            return False
        for child in self.children:
            child.start()
            self._tell_guard()
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            for child in self.children:
                child.check_start()
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"Sigil was not ready within {READY_WITHIN_S:.0f} s; see {self._logs}."
                )
            if self._stopping.wait(_WAIT_S):
                return False
        return True

    def _take_data(self) -> None:
        server = EmbeddedValkey(
            self._settings.data_dir,
            maxmemory=self._settings.redis.maxmemory,
            with_parent=False,
            say=self._say,
        )
        self._server = server
        self._valkey = Child("valkey", server.spawn, server.log, explain=server.explain)

    def _start_valkey(self, server: EmbeddedValkey) -> bool:
        """Whether it is ready; False if asked to stop."""
        assert self._valkey is not None
        self._valkey.start()
        while not server.is_ready():
            if self._stopping.wait(_ASK_AGAIN_S):
                return False
        return True

    def _is_ready(self) -> bool:
        live = {role: find_live_workers(self._settings, role) for role in get_args(ProcessRole)}
        for child in self.children:
            if child.role is not None and (
                child.process is None or child.process.pid not in live[child.role]
            ):
                return False
        for host, port, path in self._pages:
            page = fetch_page(host, port, path, timeout=_PAGE_WITHIN_S)
            if page is None or page[0] != 200:
                return False
        return True

    def watch(self) -> None:
        """Starts again what ends, replaces what hangs, and bounds the logs, until asked to stop."""
        look_at = rotate_at = time.monotonic()
        while not self._stopping.wait(_WAIT_S):
            for child in (self._guard, self._valkey, *self.children):
                if child is not None and (news := child.revive()):
                    self._say(news)
            self._tell_guard()
            if time.monotonic() >= look_at:
                self._look_for_signs()
                look_at = time.monotonic() + LOOK_EVERY_S
            if time.monotonic() >= rotate_at:
                rotate_at = time.monotonic() + _ROTATE_EVERY_S
                for log in self._logs.glob("*.log"):
                    _rotate_log(log)

    def _look_for_signs(self) -> None:
        """Replaces what shows no sign of life for long.

        If no process of Sigil shows one, the cause is outside: the machine slept or is overloaded,
        or somebody emptied the folder of the signs. While Valkey does not answer, the others are
        not judged: a new worker shows its first sign when it has reached its broker.
        """
        signs = read_signs(self._settings)
        watched = [each for each in self.children if each.role and each.process is not None]
        silent = [each for each in watched if not each.shows(signs.get(each.pid))]
        if len(silent) == len(watched):
            return
        if self._valkey is not None and not self._ask_valkey(self._valkey):
            silent = [] if self._valkey.process is None else [self._valkey]
        for child in silent:
            if news := child.miss():
                self._say(news)

    def _ask_valkey(self, valkey: Child) -> bool:
        """Whether it answers. An error is an answer too, and is said once."""
        assert self._server is not None
        answer = self._server.answer()
        if answer is None:
            return False
        if answer != self._answer and answer.startswith("-"):
            self._say(f"valkey takes no messages now: {answer[1:]}")
        self._answer = answer
        return valkey.shows(object())

    def stop(self) -> None:
        """Ends everything. Valkey goes last, so that workers can still hand back their lanes."""
        stop([each.process for each in self.children if each.process], within=STOP_WITHIN_S)
        for child in self.children:
            child.process = None
        if self._server is not None:
            self._server.stop(within=STOP_VALKEY_WITHIN_S)
        self._tell_guard()
        if self._guard.process is not None:
            self._close_guard()
            stop([self._guard.process], within=STOP_GUARD_WITHIN_S)

    # ------------------------------------------------------------ the guard

    def _spawn_guard(self) -> subprocess.Popen[bytes]:
        self._close_guard()
        argv = [sys.executable, "-I", "-S", guard.__file__, str(STOP_WITHIN_S)]
        argv += [] if self._server is None else [str(self._server.data_lock)]
        process = spawn(
            argv,
            log=self._guard.log,
            env={},
            cwd=self._logs,
            stdin=subprocess.PIPE,
            keep=self._lock.fileno(),
            with_parent=False,
        )
        assert process.stdin is not None
        self._guard_input, self._guarded = process.stdin, []
        os.set_blocking(self._guard_input.fileno(), False)
        return process

    def _close_guard(self) -> None:
        """Ends the guard's input, and so the guard."""
        if self._guard_input is not None:
            with contextlib.suppress(OSError):
                self._guard_input.close()

    def _tell_guard(self) -> None:
        """Tells it which processes run, if that has changed."""
        running = [each.process.pid for each in self.children if each.process is not None]
        if self._guard_input is not None and running != self._guarded:
            self._guarded = running
            with contextlib.suppress(OSError):  # it has ended, and is told when it runs again
                os.write(self._guard_input.fileno(), f"{' '.join(map(str, running))}\n".encode())


def _rotate_log(log: Path) -> None:
    """Moves a log that has grown large to `.log.1`, and empties it in place.

    The process that writes to it has it open for appending, so it goes on at the new end. A line
    that is written between the copy and the cut is lost. If the disk has little room, there is no
    copy: messages need it more.
    """
    with contextlib.suppress(OSError):
        if log.stat().st_size > MAX_LOG_BYTES:
            if shutil.disk_usage(log.parent).free > 4 * MAX_LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
