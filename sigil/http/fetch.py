"""Fetches files from addresses that come out of messages.

    address ─▶ http or https? ─▶ name looked up ─▶ each address public? ─▶ connected to one of these
       ▲                                                                     │
       └──────────────────────── redirect, at most 5 times ◀─────────────────┤
                                                                             ▼
                                                     the body, bounded in size and time

The connection is made to an address that was checked, so a name that is looked up a second time
cannot lead elsewhere. No proxy is used: it would look the name up by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from sigil.errors import AddressRefused, FetchFailed, MediaRefused
from sigil.http.guard import AddressGuard

if TYPE_CHECKING:
    import ssl

    import httpx2

MOST_REDIRECTS = 5
FETCH_SECONDS = 30.0
"""For everything: looking up, redirects, and the body."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_SECONDS = 10.0
_LONGEST_URL = 4096


class Fetcher:
    """Fetches under the guard of `network.allow_private`; from one event loop."""

    def __init__(
        self, allow_private: Iterable[str] = (), *, seconds: float = FETCH_SECONDS
    ) -> None:
        self._guard = AddressGuard(allow_private)
        self._seconds = seconds
        self._context: ssl.SSLContext | None = None

    async def fetch(
        self,
        url: str,
        *,
        most: int,
        headers: Mapping[str, str] | None = None,
        configured: bool = False,
    ) -> AsyncIterator[bytes]:
        """The bytes at an address, at most so many. An address that is `configured` (a homeserver,
        say) may be in a private network; where it redirects to may not. `headers` go to the
        address's own origin only.

        Raises `AddressRefused`, `FetchFailed`, and `MediaRefused` if there are more bytes. None of
        their texts holds more of an address than its host.
        """
        import httpx2

        until = asyncio.get_running_loop().time() + self._seconds
        target, sent = _parse(url), dict(headers or {})
        for _ in range(MOST_REDIRECTS + 1):
            async with await self._make_client(guarded=not configured) as client:
                try:
                    async with asyncio.timeout_at(until):
                        request = client.build_request("GET", target, headers=sent)
                        response = await client.send(request, stream=True)
                    if response.status_code not in _REDIRECTS:
                        async with aclosing(_read(response, most, until)) as body:
                            async for piece in body:
                                yield piece
                        return
                except httpx2.HTTPError as error:
                    cause = type(error).__name__
                    raise FetchFailed(f"{target.host} cannot be reached ({cause}).") from None
                except (httpx2.InvalidURL, ValueError):
                    raise AddressRefused("this address cannot be read.") from None
                except TimeoutError:
                    raise FetchFailed(f"{target.host} took too long to answer.") from None
            before, configured = target, False
            target = _follow(target, response.headers.get("location", ""))
            if _origin(target) != _origin(before):
                sent = {}
        raise AddressRefused(f"{target.host} redirects too often.")

    async def _make_client(self, *, guarded: bool) -> httpx2.AsyncClient:
        """A client for one request. One that lives on might use a connection again that was made
        to a configured address."""
        import httpx2

        from sigil.http.aiohttp_transport import AiohttpTransport

        if self._context is None:  # reading all certificates takes a while
            self._context = await asyncio.to_thread(httpx2.create_ssl_context)
        check = self._guard.check if guarded else None
        return httpx2.AsyncClient(
            transport=AiohttpTransport(self._context, httpx2.Limits(max_connections=1), check),
            headers={"accept-encoding": "identity"},
            timeout=httpx2.Timeout(self._seconds, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )


async def _read(response: httpx2.Response, most: int, until: float) -> AsyncGenerator[bytes, None]:
    host = response.url.host
    if response.status_code != 200:
        raise FetchFailed(f"{host} answered with status {response.status_code}.")
    # What is packed could grow beyond any bound when it is unpacked.
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed(f"{host} answered in a compressed form, which was not asked for.")
    length = response.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise _make_too_large(host, most)
    size, pieces = 0, response.aiter_raw()
    while True:
        async with asyncio.timeout_at(until):
            piece = await anext(pieces, None)
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise _make_too_large(host, most)
        yield piece


def _parse(url: str) -> httpx2.URL:
    """Raises `AddressRefused` for what is no plain address of the web."""
    import httpx2

    try:
        parsed = httpx2.URL(url if len(url) <= _LONGEST_URL else "")
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise AddressRefused("this address cannot be read.") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise AddressRefused("only addresses of http and https are followed.")
    if parsed.userinfo:
        raise AddressRefused("an address with a password in it is not followed.")
    return parsed


def _follow(origin: httpx2.URL, location: str) -> httpx2.URL:
    import httpx2

    try:
        target = str(origin.join(location))
    except (httpx2.InvalidURL, ValueError):
        target = ""
    return _parse(target)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _make_too_large(host: str, most: int) -> MediaRefused:
    return MediaRefused(f"What is at {host} is larger than {most / 2**20:g} MB, the most I take.")
