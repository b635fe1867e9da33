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
from typing import TYPE_CHECKING

from sigil.errors import UserNotFound
from sigil.http.signatures import is_same_secret
from sigil.web.access.source import is_local_request
from sigil.web.responses import RequestRefused

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.directory import LiveDirectory, Token
    from sigil.identity.users import User, UserStore

COOKIE = "sigil_session"
SESSION_S = 30 * 24 * 3600


class Access:
    """Finds the user behind a request, by the newest configuration. `users` is asked about
    people whom the owner acts as."""

    def __init__(self, directory: LiveDirectory, users: UserStore) -> None:
        self._directory = directory
        self._store = users

    @property
    def requires_token(self) -> bool:
        """Whether a request without a token is refused."""
        return self._directory.current.gateway.token is not None

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
        if self.requires_token:
            raise RequestRefused(401, "http.token_needed", "Sign in with a token first.")
        return self._directory.current.owner

    def check_metrics_reader(self, request: Request) -> None:
        """Refuses with 401 or 403, unless the owner or a scraper on this machine asks."""
        if not is_local_request(request) and self.authenticate(request).role != "owner":
            raise RequestRefused(403, "http.owner_only", "Only the owner may see this.")

    def find_by_token(self, token: str) -> User:
        """The user whose token this is. Refuses with 401."""
        return self._directory.current.people.users[self._find_token(token).user_id]

    def _find_token(self, token: str) -> Token:
        known = self._directory.current.tokens
        # Every token is compared, so that timing gives nothing away.
        matches = [each for each in known if is_same_secret(token, each.secret)]
        if not matches:
            raise RequestRefused(401, "http.token_wrong", "This token is not valid.")
        return matches[0]

    # ------------------------------------------------------------ the cookie

    def create_cookie(self, token: str) -> str:
        """A cookie's value for the holder of a valid token: `<user>.<expiry>.<signature>`.
        Refuses with 401."""
        known = self._find_token(token)
        name = base64.urlsafe_b64encode(known.user_id.encode()).decode()
        claim = f"{name}.{int(time.time()) + SESSION_S}"
        return f"{claim}.{_sign_claim(known, claim)}"

    def _find_by_cookie(self, cookie: str) -> User | None:
        claim, _, signature = cookie.rpartition(".")
        name, _, expiry = claim.partition(".")
        try:
            user_id = base64.urlsafe_b64decode(name).decode()
            is_fresh = time.time() < int(expiry)
        except (ValueError, binascii.Error):
            return None
        directory = self._directory.current
        matches = [
            is_same_secret(signature, _sign_claim(token, claim))
            for token in directory.tokens
            if token.user_id == user_id
        ]
        return directory.people.users.get(user_id) if is_fresh and any(matches) else None


def _sign_claim(token: Token, claim: str) -> str:
    """A cookie's signature. Its key derives from the token, so a new token ends it."""
    key = hashlib.sha256(b"sigil web session\0" + token.secret).digest()
    return hmac.new(key, claim.encode(), hashlib.sha256).hexdigest()
