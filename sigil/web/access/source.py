"""Where a request may come from.

Without `gateway.token` only this machine is served: both the client's address and the Host
header must be loopback. With a token any client is served, but Host must still be a known name.
Checking Host stops DNS rebinding (a foreign site that resolves its own name to 127.0.0.1);
checking Origin stops a foreign page from acting through its visitor's browser (CSRF).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sigil.config.addresses import is_loopback, is_wildcard
from sigil.web.responses import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from sigil.config.schema import GatewaySettings

_HOST = re.compile(
    r"\[(?P<address>[^\[\]]+)\](?::[0-9]{1,5})?"
    r"|(?P<bare_address>[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*)"
    r"|(?P<name>[^:\[\]]+)(?::[0-9]{1,5})?"
)
_SAFE_METHODS = frozenset({"GET", "HEAD"})


class SourcePolicy:
    """The rules above, by the newest configuration."""

    def __init__(self, read_settings: Callable[[], GatewaySettings]) -> None:
        self._read_settings = read_settings

    def check_request(self, request: Request) -> None:
        """Refuses clients, hosts and origins that are not allowed, with 403."""
        settings = self._read_settings()
        local_only = settings.token is None
        if local_only and not is_loopback(get_client_address(request)):
            raise RequestRefused(
                403,
                "http.not_local",
                "Only this machine may connect. Set gateway.token to allow others.",
            )
        host = request.headers.get("host", "").lower()
        name = parse_host_name(host)
        if not is_loopback(name) and (
            local_only or not _is_known_host(settings, host, name, request)
        ):
            raise RequestRefused(
                403,
                "http.foreign_host",
                "This host name is not allowed. Add it to gateway.allowed_hosts.",
            )
        if not _is_own_origin(request, host):
            raise RequestRefused(
                403, "http.foreign_origin", "The request came from another site and was refused."
            )


def _is_known_host(settings: GatewaySettings, host: str, name: str, request: Request) -> bool:
    if any(each.lower() in {name, host} for each in settings.allowed_hosts):
        return True
    own_host = settings.host.lower().strip("[]")
    if is_wildcard(own_host):
        # We listen on every address, so the one that the client reached is ours.
        server = request.scope.get("server")
        return server is not None and name == server[0]
    return name == own_host


def _is_own_origin(request: Request, host: str) -> bool:
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    if origin is not None:
        scheme, _, netloc = origin.partition("://")
        return scheme in {"http", "https"} and netloc.lower() == host
    if request.method in _SAFE_METHODS:
        is_navigation = request.headers.get("sec-fetch-mode") == "navigate"
        return site in {None, "same-origin", "none"} or is_navigation
    # Browsers send Origin with every unsafe method; without it, only other programs are allowed.
    return site is None


def parse_host_name(host: str) -> str:
    """The name in a Host header: lower case, without port and brackets. Empty for what is no
    name with an optional port, such as `[::1].evil.example` or `localhost:evil`."""
    parts = _HOST.fullmatch(host.strip().lower())
    return "" if parts is None else parts["address"] or parts["bare_address"] or parts["name"]


def get_client_address(request: Request) -> str:
    """The address at the other end of the connection. Headers that claim another are ignored."""
    return request.client.host if request.client else ""


def is_local_request(request: Request) -> bool:
    """Whether both the client and the name that it used are this machine's own."""
    name = parse_host_name(request.headers.get("host", ""))
    return is_loopback(get_client_address(request)) and is_loopback(name)
