"""The HTTP client under every vendor's SDK: its transport, its limits and its deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.errors import ErrorKind, ProviderError

if TYPE_CHECKING:
    import httpx2

# Seconds, but for `read`, which is the caller's: chains have a stricter deadline of their own.
_CONNECT_TIMEOUT, _WRITE_TIMEOUT, _POOL_TIMEOUT = 10.0, 30.0, 30.0
# Idle connections are given up after `_KEEPALIVE` seconds, however few there are.
_MAX_CONNECTIONS, _KEEPALIVE = 1000, 15.0


def http_client(read_timeout: float) -> httpx2.AsyncClient:
    """A client with a pool of its own, for one event loop. `read_timeout` is in seconds, from one
    byte to the next.

    Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`, …), and so are certificates
    (`SSL_CERT_FILE`, `SSL_CERT_DIR`). Imports what takes a while: call it in a thread.

    Raises `ProviderError` if these are of no use, which says nothing of the vendor.
    """
    try:
        return _made(read_timeout)
    except Exception as error:  # noqa: BLE001  # its text may quote a proxy's password
        why = type(error).__name__
    raise ProviderError(
        f"the HTTP client cannot be made ({why}).",
        kind=ErrorKind.UNAVAILABLE,
        reached=False,
        counts=False,
        hint="Check the variables of proxies and certificates (HTTPS_PROXY, SSL_CERT_FILE, …).",
    )


def _made(read_timeout: float) -> httpx2.AsyncClient:
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


def is_sent(error: BaseException) -> bool:
    """Whether the request may have reached the server before it failed with this."""
    import httpx2

    unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    return not isinstance(error, unsent)
