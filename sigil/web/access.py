"""Who is asking.

With `gateway.token` each request carries a token: the gateway's own (whoever holds it is the
owner) or a user's. A browser sends its token once, to /login, and gets a cookie that proves the
user without containing the token; changing the token invalidates the cookie. Without
`gateway.token` nobody needs one, and whoever sends none is the owner.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigil.errors import UserNotFound
from sigil.identity import User
from sigil.web.responses import RequestRefused
from sigil.web.source import is_local_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sigil.config import Settings
    from sigil.identity import UserStore

COOKIE = "sigil_session"
SESSION_S = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A token and the user whom it stands for."""

    user_id: str
    token: bytes

    def sign(self, claim: str) -> str:
        """The cookie's signature. Its key derives from the token, so a new token ends it."""
        key = hashlib.sha256(b"sigil web session\0" + self.token).digest()
        return hmac.new(key, claim.encode(), hashlib.sha256).hexdigest()


class Access:
    """Finds the user behind a request. `users` is asked about people the owner acts as."""

    def __init__(self, settings: Settings, users: UserStore) -> None:
        self._store = users
        self.token_required = settings.gateway.token is not None
        self._users = {
            id: User(id=id, name=user.name or id, role=user.role)
            for id, user in settings.users.items()
        }
        self._owner = next(user for user in self._users.values() if user.role == "owner")
        self._keys = tuple(_read_keys(settings, self._owner.id))

    async def identify(self, request: Request) -> User:
        """The user on whose behalf the request is made: its sender, or the one that an owner
        names in X-Sigil-As. Refuses with 401, 403 or 422."""
        user = self.authenticate(request)
        other = request.headers.get("x-sigil-as")
        if other is None or other == user.id:
            return user
        if user.role != "owner":
            raise RequestRefused(403, "http.owner_only", "Only the owner may act as somebody else.")
        try:
            return await self._store.get(other)
        except UserNotFound as error:
            raise RequestRefused(422, error.code, str(error)) from None

    def authenticate(self, request: Request) -> User:
        """The user who sent the request. Refuses with 401 if a token is missing or wrong."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.find_by_token(token.strip())
        cookie = request.cookies.get(COOKIE)
        user = None if cookie is None else self._find_by_cookie(cookie)
        if user is not None:
            return user
        if self.token_required:
            raise RequestRefused(401, "http.token_needed", "Sign in with a token first.")
        return self._owner

    def check_metrics_reader(self, request: Request) -> None:
        """Refuses with 401 or 403, unless the owner or a scraper on this machine asks."""
        if not is_local_request(request) and self.authenticate(request).role != "owner":
            raise RequestRefused(403, "http.owner_only", "Only the owner may see this.")

    def find_by_token(self, token: str) -> User:
        """The user whose token this is. Refuses with 401."""
        return self._users[self._find_key(token).user_id]

    def _find_key(self, token: str) -> TokenKey:
        given = token.encode("utf-8", "surrogateescape")
        # Every key is compared, in constant time, so that timing gives nothing away.
        matches = [key for key in self._keys if hmac.compare_digest(key.token, given)]
        if not matches:
            raise RequestRefused(401, "http.token_wrong", "This token is not valid.")
        return matches[0]

    # ------------------------------------------------------------ the cookie

    def create_cookie(self, token: str) -> str:
        """A cookie's value for the holder of a valid token: `<user>.<expiry>.<signature>`.
        Refuses with 401."""
        key = self._find_key(token)
        name = base64.urlsafe_b64encode(key.user_id.encode()).decode()
        claim = f"{name}.{int(time.time()) + SESSION_S}"
        return f"{claim}.{key.sign(claim)}"

    def _find_by_cookie(self, cookie: str) -> User | None:
        claim, _, signature = cookie.rpartition(".")
        name, _, expiry = claim.partition(".")
        try:
            user_id = base64.urlsafe_b64decode(name).decode()
            is_fresh = time.time() < int(expiry)
        except (ValueError, binascii.Error):
            return None
        given = signature.encode("utf-8", "replace")
        matches = [
            hmac.compare_digest(key.sign(claim).encode(), given)
            for key in self._keys
            if key.user_id == user_id
        ]
        return self._users.get(user_id) if is_fresh and any(matches) else None


def _read_keys(settings: Settings, owner_id: str) -> Iterator[TokenKey]:
    if settings.gateway.token is not None:
        yield TokenKey(owner_id, settings.gateway.token.get_secret_value().encode())
    for id, user in settings.users.items():
        if user.token is not None:
            yield TokenKey(id, user.token.get_secret_value().encode())
