"""Who may talk to the gateway, from where, and as whom.

Without `gateway.token` only this machine is answered: the client's address and the Host are
loopback. With it, Host must be a known name, and each request carries a token: the gateway's
(its bearer is the owner) or a user's own. A browser shows its token once, at /login, and is
given a cookie that proves the user without containing the token; changing the token ends it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigil.addresses import is_loopback, is_wildcard
from sigil.identity import User
from sigil.web.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sigil.config import Settings

COOKIE = "sigil_session"
SESSION_S = 30 * 24 * 3600
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class _Key:
    user_id: str
    token: bytes

    def session_mac(self, claim: str) -> str:
        key = hashlib.sha256(b"sigil web session\0" + self.token).digest()
        return hmac.new(key, claim.encode(), hashlib.sha256).hexdigest()


class Access:
    """The rules above for one configuration."""

    def __init__(self, settings: Settings) -> None:
        self._users = {
            id: User(id=id, name=user.name or id, role=user.role)
            for id, user in settings.users.items()
        }
        self._owner = next(user for user in self._users.values() if user.role == "owner")
        self.token_required = settings.gateway.token is not None
        self._keys = tuple(self._read_keys(settings))
        self._hosts = {host.lower() for host in settings.gateway.allowed_hosts}
        self._own_host = settings.gateway.host.lower().strip("[]")

    def _read_keys(self, settings: Settings) -> Iterator[_Key]:
        if settings.gateway.token is not None:
            yield _Key(self._owner.id, settings.gateway.token.get_secret_value().encode())
        for id, user in settings.users.items():
            if user.token is not None:
                yield _Key(id, user.token.get_secret_value().encode())

    # ------------------------------------------------------------ where a request comes from

    def check_source(self, request: Request) -> None:
        """Refuses foreign hosts (DNS rebinding), clients and origins (CSRF) with 403."""
        host = request.headers.get("host", "")
        name = host_name(host)
        if not self.token_required:
            if not is_loopback(client_address(request)):
                raise Refused(
                    403, "http.not_local", "Only this machine is answered. Set gateway.token."
                )
            if not is_loopback(name):
                raise _foreign_host()
        elif not self._knows_host(host.lower(), name, request):
            raise _foreign_host()
        self._check_origin(request, host)

    def _knows_host(self, host: str, name: str, request: Request) -> bool:
        if is_loopback(name) or name in self._hosts or host in self._hosts:
            return True
        if is_wildcard(self._own_host):
            server = request.scope.get("server")
            return server is not None and name == server[0]
        return name == self._own_host

    @staticmethod
    def _check_origin(request: Request, host: str) -> None:
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site")
        navigates = request.headers.get("sec-fetch-mode") == "navigate"
        if origin is not None:
            scheme, _, netloc = origin.partition("://")
            allowed = scheme in {"http", "https"} and netloc.lower() == host.lower()
        elif request.method in _SAFE:
            allowed = site in {None, "same-origin", "none"} or navigates
        else:
            allowed = site is None  # no browser: browsers name the origin of what changes things
        if not allowed:
            raise Refused(
                403, "http.foreign_origin", "The request comes from another site and was refused."
            )

    # ------------------------------------------------------------ who it is

    def person(self, request: Request) -> User:
        """The user who asks. Refuses with 401 if a token is needed or wrong."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.by_token(token.strip())
        cookie = request.cookies.get(COOKIE)
        user = None if cookie is None else self._by_session(cookie)
        if user is not None:
            return user
        if self.token_required:
            raise Refused(401, "http.token_needed", "A token is needed: see gateway.token.")
        return self._owner

    def by_token(self, token: str) -> User:
        """The user whose token this is. Refuses with 401."""
        given, found = token.encode("utf-8", "surrogateescape"), None
        for key in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.token, given) and found is None:
                found = key.user_id
        if found is None:
            raise Refused(401, "http.token_wrong", "This token is not known.")
        return self._users[found]

    def session(self, token: str) -> str:
        """A cookie's value for the bearer of a known token."""
        user_id = self.by_token(token).id
        key = next(k for k in self._keys if hmac.compare_digest(k.token, token.encode()))
        name = base64.urlsafe_b64encode(user_id.encode()).decode()
        claim = f"{name}.{int(time.time()) + SESSION_S}"
        return f"{claim}.{key.session_mac(claim)}"

    def _by_session(self, cookie: str) -> User | None:
        claim, _, mac = cookie.rpartition(".")
        name, _, until = claim.partition(".")
        try:
            user_id = base64.urlsafe_b64decode(name).decode()
            fresh = time.time() < int(until)
        except (ValueError, binascii.Error):
            return None
        proven = [
            hmac.compare_digest(key.session_mac(claim).encode(), mac.encode("utf-8", "replace"))
            for key in self._keys
            if key.user_id == user_id
        ]
        return self._users.get(user_id) if fresh and any(proven) else None

    def check_metrics(self, request: Request) -> None:
        """Counts are for the owner, and for a scraper on this machine."""
        local = is_loopback(client_address(request)) and is_loopback(
            host_name(request.headers.get("host", ""))
        )
        if not local and self.person(request).role != "owner":
            raise Refused(403, "http.owner_only", "Only the owner may see this.")


def _foreign_host() -> Refused:
    return Refused(
        403,
        "http.foreign_host",
        "This host name is not known here. Add it to gateway.allowed_hosts.",
    )


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") <= 1 else host


def client_address(request: Request) -> str:
    """The address at the other end of the connection; headers about it are not believed."""
    return request.client.host if request.client else ""
