"""Sends requests as a vendor's SDK would, without its work for each of them.

An SDK puts the address, the headers and the deadlines of a request together anew for each call,
which costs as much CPU as twenty tokens of the answer. All of it but the body is the same each
time. So the SDK makes one request, which is not sent, and every call is a copy of that with a body
of its own.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from sigil.providers.shared.errors import NotSent, Refusal
from sigil.providers.shared.json_fields import Json

if TYPE_CHECKING:
    import httpx2

# They belong to one body.
_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding", b"cookie"})


class Post:
    """Posts JSON to one address."""

    def __init__(self, http: httpx2.AsyncClient, model: httpx2.Request) -> None:
        self._http = http
        self._url = model.url
        self._headers = [p for p in model.headers.raw if p[0].lower() not in _BODY_HEADERS]
        self._extensions = dict(model.extensions)

    @classmethod
    async def learn(cls, http: httpx2.AsyncClient, ask: Callable[[], Awaitable[object]]) -> Post:
        """Learns from the request that the SDK makes in `ask`, where it must use `http` and post
        some JSON. That request is not sent. Nobody else may use `http` meanwhile."""
        import httpx2

        requests: list[httpx2.Request] = []

        async def keep_back(request: httpx2.Request) -> None:
            requests.append(request)
            raise httpx2.ConnectError("this request is only looked at", request=request)

        http.event_hooks = {"request": [keep_back]}
        try:
            await ask()
        except Exception:
            if not requests:
                raise
        finally:
            http.event_hooks = {}
        return cls(http, requests[0])

    async def send(
        self, body: Json, *, stream: bool, headers: Mapping[bytes, bytes] | None = None
    ) -> httpx2.Response:
        """Sends a body and returns the response: read to its end, or if it is to `stream` as soon
        as its head has come; then the caller closes it. `headers` (with lower-case names) replace
        those of the same names.

        Raises `Refusal` for a status that is none of success, and `NotSent` if there was no
        response.
        """
        import httpx2

        replaced = headers or {}
        request = httpx2.Request(
            "POST",
            self._url,
            headers=[
                *(pair for pair in self._headers if pair[0].lower() not in replaced),
                *replaced.items(),
            ],
            # As the SDKs write it.
            content=json.dumps(
                body, ensure_ascii=False, separators=(",", ":"), allow_nan=False
            ).encode(),
            extensions=self._extensions,
        )
        if self._http.cookies:
            self._http.cookies.set_cookie_header(request)
        try:
            response = await self._http.send(request, stream=stream)
        except Exception as error:
            raise NotSent from error
        if not response.is_success:
            try:
                await response.aread()
            finally:
                await response.aclose()
            raise Refusal(response)
        return response
