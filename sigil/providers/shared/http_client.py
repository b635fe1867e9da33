"""The HTTP client under a vendor's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.errors import ErrorKind, ProviderError
from sigil.http.transport import make_http_client

if TYPE_CHECKING:
    import httpx2


def make_vendor_client(read_timeout: float | None) -> httpx2.AsyncClient:
    """Makes the client as `make_http_client` does; call it in a thread.

    Raises `ProviderError` if the environment's proxies or certificates are unusable. That says
    nothing about the vendor, so it does not count against its models.
    """
    try:
        return make_http_client(read_timeout)
    except Exception as error:  # noqa: BLE001  # its text may quote a proxy's password
        cause = type(error).__name__
    raise ProviderError(
        f"the HTTP client cannot be made ({cause}).",
        kind=ErrorKind.UNAVAILABLE,
        reached=False,
        counts=False,
        hint="Check the variables of proxies and certificates (HTTPS_PROXY, SSL_CERT_FILE, …).",
    )
