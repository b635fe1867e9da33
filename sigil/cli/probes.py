"""Looks at the outside world for `sigil doctor`; each gives up after a few seconds."""

from __future__ import annotations

import http.client
import socket

from sigil.cli import backend
from sigil.config import Settings

PATIENCE_S = 3.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # recognised, not bound to


async def redis_warnings(settings: Settings) -> list[str]:
    """What about the server may lose data. Raises `ConfigError` or `StoreError`."""
    async with backend.stores(settings) as stores:
        return await stores.backend.list_warnings()


def why_not_bindable(host: str, port: int) -> str | None:
    """Why nothing could listen there now; None if it could."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def is_sigil(host: str, port: int) -> bool:
    """Whether a gateway of Sigil's answers there."""
    connection = http.client.HTTPConnection(_WILDCARDS.get(host, host), port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200 and b"ok" in answer.read(1024).lower()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
