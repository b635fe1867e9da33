"""Calls a homeserver's client API.

One login, one device: the server remembers transaction ids per device, so that a message which
may have been sent can be sent again without being doubled
(https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_part
from urllib.parse import urlencode

from sigil.channels.matrix.errors import Refusal, make_error, parse_object, read_refusal
from sigil.errors import AccountRefused, SendFailed, SendRefused
from sigil.http.transport import is_connect_failure, make_http_client

if TYPE_CHECKING:
    import httpx2

    from sigil.channels.matrix.settings import MatrixSettings

API = "/_matrix/client/v3"
READ_TIMEOUT_S, SIGNED_OUT_REST_S = 60.0, 2.0
_MXC = re.compile(r"mxc://([A-Za-z0-9.\-:\[\]]{1,255})/([A-Za-z0-9_\-]{1,255})")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Login:
    """Whom a token belongs to."""

    user_id: str
    device_id: str | None


def make_path(*parts: str) -> str:
    """A path of the client API; ids are escaped, since rooms' and events' hold any character."""
    return API + "".join(f"/{quote_part(part, safe='')}" for part in parts)


class MatrixClient:
    """One account's calls, from one event loop. Signs in before the first of them if it has no
    token, and once more if the token has expired.

    Every method raises `SendFailed`, `AccountRefused`, `SendRefused` or `StreamTokenInvalid`.
    """

    def __init__(self, name: str, settings: MatrixSettings) -> None:
        self._name = name
        self._settings = settings
        self._base = settings.homeserver.rstrip("/")
        token = settings.access_token
        self._token = None if token is None else token.get_secret_value()
        self._signing_in = asyncio.Lock()
        self._http: httpx2.AsyncClient | None = None

    @property
    def user_id(self) -> str:
        """The account's id, as configured."""
        return self._settings.user_id

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        room: bool = False,
    ) -> Json:
        """Makes a call and returns what it answers. `room`: the call is for a room."""
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        url = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        async with self._request(method, url, content, room=room) as response:
            return _read_answer(response.status_code, await _read_body(response))

    async def upload(self, data: bytes, mime_type: str, name: str) -> str:
        """Uploads a file and returns its `mxc://` address."""
        url = f"{self._base}/_matrix/media/v3/upload?{urlencode({'filename': name})}"
        async with self._request("POST", url, data, mime_type=mime_type) as response:
            answer = _read_answer(response.status_code, await _read_body(response))
        address = answer.get("content_uri")
        if not isinstance(address, str):
            raise SendFailed("the homeserver took a file and gave no address for it.")
        return address

    @asynccontextmanager
    async def open_file(self, address: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The file at an `mxc://` address, piece by piece."""
        found = _MXC.fullmatch(address)
        if found is None:
            raise SendRefused("this is no address of a file.")
        server, media = found.groups()
        url = f"{self._base}/_matrix/client/v1/media/download/{quote_part(server)}/{media}"
        async with self._request("GET", url, None) as response:
            yield _read_pieces(response)

    async def fetch_login(self) -> Login:
        """Asks whose token it is. Raises `AccountRefused` if it is not the configured user's."""
        answer = await self.call("GET", f"{API}/account/whoami")
        return self._check_login(answer)

    async def check_server(self) -> None:
        """Asks something that needs no token."""
        url = f"{self._base}/_matrix/client/versions"
        async with self._open("GET", url, None, token=None) as response:
            body = await _read_body(response)
            if response.status_code != 200:
                refusal = read_refusal(response.status_code, response.headers, body)
                raise make_error(refusal, self._name)
        if "versions" not in _read_answer(200, body):
            raise make_error(Refusal(404, "", "no versions"), self._name)

    async def log_out(self) -> None:
        """Gives the token back, and with it the device."""
        await self.call("POST", f"{API}/logout", {})

    async def close(self) -> None:
        """Closes its connections. Safe to call twice."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        content: bytes | None,
        *,
        mime_type: str = "application/json",
        room: bool = False,
    ) -> AsyncIterator[httpx2.Response]:
        """Opens a response that is a success."""
        token = self._token or await self._sign_in(None)
        for again in (False, True):
            async with self._open(method, url, content, token=token, mime_type=mime_type) as found:
                if found.is_success:
                    yield found
                    return
                body = await _read_body(found)
                refusal = read_refusal(found.status_code, found.headers, body)
            if not refusal.lost_token or self._settings.password is None:
                raise make_error(refusal, self._name, room=room)
            if again:  # some servers let one token of a device live
                raise SendFailed(
                    "another process has signed in for the same device.",
                    retry_after=SIGNED_OUT_REST_S,
                    hint=f"Set channels.{self._name}.access_token where there are several.",
                )
            token = await self._sign_in(token)

    async def _sign_in(self, lost: str | None) -> str:
        """Logs in by password, unless another call has done so since the token was lost."""
        async with self._signing_in:
            if self._token is not None and self._token != lost:
                return self._token
            password = self._settings.password
            if password is None:
                raise AccountRefused(
                    "there is neither a token nor a password.",
                    hint=f"Set channels.{self._name}.access_token.",
                )
            body = {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": self._settings.user_id},
                "password": password.get_secret_value(),
                "device_id": self._settings.device_id,
                "initial_device_display_name": "Sigil",
            }
            try:
                self._token = await self._log_in(json.dumps(body).encode())
            except SendFailed as error:
                error.outcome_unknown = False  # what the token was needed for has not been done
                raise
            return self._token

    async def _log_in(self, body: bytes) -> str:
        async with self._open("POST", f"{self._base}{API}/login", body, token=None) as response:
            answered = await _read_body(response)
            status, headers = response.status_code, response.headers
        if status != 200:
            refusal = read_refusal(status, headers, answered)
            if refusal.errcode == "M_FORBIDDEN":
                raise AccountRefused(
                    f"the homeserver refuses the login: {refusal}.",
                    hint=f"Check channels.{self._name}.user_id and its password.",
                )
            raise make_error(refusal, self._name)
        answer = _read_answer(status, answered)
        self._check_login(answer)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise SendFailed("the homeserver answered a login without a token.")
        return token

    def _check_login(self, answer: Json) -> Login:
        user, device = answer.get("user_id"), answer.get("device_id")
        if user != self._settings.user_id:
            raise AccountRefused(
                f"the token belongs to {str(user)[:255]}, not to {self._settings.user_id}.",
                hint=f"Correct channels.{self._name}.user_id, or use that account's token.",
            )
        return Login(self._settings.user_id, device if isinstance(device, str) else None)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        url: str,
        content: bytes | None,
        *,
        token: str | None,
        mime_type: str = "application/json",
    ) -> AsyncIterator[httpx2.Response]:
        import httpx2

        if self._http is None:
            self._http = await asyncio.to_thread(make_http_client, READ_TIMEOUT_S)
        headers = {"Content-Type": mime_type} if content is not None else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._http.stream(
                method, url, content=content, headers=headers, follow_redirects=False
            ) as response:
                yield response
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise SendFailed(
                f"the homeserver could not be reached ({type(error).__name__}).",
                outcome_unknown=not is_connect_failure(error),
                rests_account=is_connect_failure(error),
            ) from error


async def _read_body(response: httpx2.Response) -> bytes:
    return await response.aread()


async def _read_pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    async for piece in response.aiter_bytes():
        yield piece


def _read_answer(status: int, body: bytes) -> Json:
    found = parse_object(body)
    if found is None:
        raise SendFailed(
            f"the homeserver answered {status} with something that is no JSON object.",
            outcome_unknown=True,
        )
    return found
