"""The shared HTTP client: its transport, its limits and its deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

# Seconds. The read timeout is the caller's; chains of models have a stricter deadline of their own.
_CONNECT_TIMEOUT, _WRITE_TIMEOUT, _POOL_TIMEOUT = 10.0, 30.0, 30.0
# Idle connections are closed after `_KEEPALIVE` seconds, however few there are.
_MAX_CONNECTIONS, _KEEPALIVE = 1000, 15.0


def make_http_client(read_timeout: float | None) -> httpx2.AsyncClient:
    """Makes a client with a pool of its own, for one event loop. `read_timeout` is the longest
    silence between two bytes, in seconds.

    Proxies (`HTTPS_PROXY`, `NO_PROXY`, …) and certificates (`SSL_CERT_FILE`, `SSL_CERT_DIR`) are
    taken from the environment; if they are unusable, whatever httpx2 or ssl raises is passed on,
    and its text may quote a proxy's password. The imports take a while: call this in a thread.
    """
    import httpx2

    from sigil.http.aiohttp_transport import AiohttpClient

    return AiohttpClient(
        timeout=httpx2.Timeout(
            connect=_CONNECT_TIMEOUT,
            read=read_timeout,
            write=_WRITE_TIMEOUT,
            pool=_POOL_TIMEOUT,
        ),
        limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEPALIVE),
    )


def is_connect_failure(error: BaseException) -> bool:
    """Whether no connection was made, so that the server cannot have seen the request."""
    import httpx2

    return isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
