"""The HTTP client under every vendor's SDK: its limits and its deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

# Seconds, but for `read`, which is the caller's: chains have a stricter deadline of their own.
_CONNECT_TIMEOUT, _WRITE_TIMEOUT, _POOL_TIMEOUT = 10.0, 30.0, 30.0
_MAX_CONNECTIONS, _MAX_KEEPALIVE = 1000, 100


def http_client(read_timeout: float) -> httpx2.AsyncClient:
    """A client with a pool of its own. `read_timeout` is in seconds, from one byte to the next.

    Imports httpx2, which takes a while: call it in a thread.
    """
    import httpx2

    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(
            connect=_CONNECT_TIMEOUT,
            read=read_timeout,
            write=_WRITE_TIMEOUT,
            pool=_POOL_TIMEOUT,
        ),
        limits=httpx2.Limits(
            max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_KEEPALIVE
        ),
    )
