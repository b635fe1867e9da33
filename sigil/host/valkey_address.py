"""Where the private Valkey listens, and how other commands on this machine find it.

The server of `sigil up` writes its URL to `data_dir/valkey/url`, which only its owner can read:
the URL may hold a password. Every other command asks here for the server to use:

    find_store_url(settings)  →  redis.url, or the URL of the private server that runs
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sigil.config import Settings
from sigil.config.addresses import find_free_port
from sigil.errors import ConfigError, StoreError

# The field sun_path of macOS's <sys/un.h> has 104 bytes, one of them the terminator.
MAX_SOCKET_PATH_BYTES = 103
# The servers' own sockets are named `valkey.sock.1a2b`; `valkey.sock` is a link to the newest.
LONGEST_SOCKET_ENDING = 5
ANSWER_WITHIN_S = 2


def find_store_url(settings: Settings) -> str:
    """The configured server's URL, or that of the private server on data_dir.

    Raises `ConfigError` if no server is configured and none runs.
    """
    if settings.redis.url is not None:
        return settings.redis.url.get_secret_value()
    return find_running_url(settings.data_dir)


def find_running_url(data_dir: Path) -> str:
    """The URL of the private server that runs on `data_dir`. Raises `ConfigError` if none runs,
    and `StoreError` if it hangs."""
    address = read_address(data_dir / "valkey")
    try:
        if address is not None and _ask(address, "PING") is not None:
            return address
    except TimeoutError:
        raise StoreError(
            f"the private Valkey in {data_dir} runs, but has not answered for {ANSWER_WITHIN_S} s.",
            hint=f"`sigil up` soon replaces one that hangs; see {data_dir / 'logs'}.",
        ) from None
    except OSError:
        pass  # nothing listens there
    raise ConfigError(
        f"Nothing runs on {data_dir}.", hint="Start it with `sigil up`, or set redis.url."
    )


def read_address(folder: Path) -> str | None:
    """The URL that the last server on this folder used, whether or not it still runs."""
    with contextlib.suppress(OSError):
        return (folder / "url").read_text(encoding="utf-8").strip() or None
    return None


def choose_address(folder: Path) -> tuple[str, str]:
    """The URL to listen on, and a password ("" if none is needed).

    A socket in a private folder needs no password: the system lets its owner alone connect. The
    operating system bounds the length of a socket's path, so a folder with a long name gets a
    port on loopback instead. Any user of this machine could connect there, hence the password.
    """
    path = folder.resolve() / "valkey.sock"
    if len(os.fsencode(path)) + LONGEST_SOCKET_ENDING <= MAX_SOCKET_PATH_BYTES:
        return f"unix://{quote(os.fsencode(path))}", ""
    # Running processes still use the last address, so it is kept where the port is free.
    last = urlsplit(read_address(folder) or "")
    try:
        port = find_free_port("127.0.0.1", last.port or 0)
    except OSError:
        port = find_free_port("127.0.0.1", 0)
    password = last.password or secrets.token_urlsafe(32)
    return f"redis://:{password}@127.0.0.1:{port}/0", password


def send_command(address: str, command: str) -> str | None:
    """Sends one command and returns the first line of the answer, such as `+PONG`.

    None if nothing answers there, or if what answers does not accept our password and is
    therefore another server. It speaks the inline form of Redis's protocol by hand, so that
    `sigil up` need not import a Redis client.
    """
    try:
        return _ask(address, command)
    except OSError:
        return None


def _ask(address: str, command: str) -> str | None:
    """See `send_command`. Raises `TimeoutError` if something listens but says nothing, and
    `OSError` if nothing listens."""
    parts = urlsplit(address)
    password = unquote(parts.password or "")
    unix = parts.scheme == "unix"
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as connection:
        connection.settimeout(ANSWER_WITHIN_S)
        connection.connect(unquote(parts.path) if unix else (parts.hostname or "", parts.port or 0))
        with connection.makefile("rwb") as stream:

            def ask(line: str) -> str:
                stream.write(f"{line}\r\n".encode())
                stream.flush()
                return stream.readline().decode("utf-8", "replace").strip()

            if password and ask(f"AUTH {password}") != "+OK":
                return None
            return ask(command) or None
