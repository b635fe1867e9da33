"""httpx2 over aiohttp, whose parser is written in C.

The SDKs make their requests with httpx2, whose own transport more than doubles what a token of a
stream costs (docs/decisions/0006-http-transport.md). Redirects, cookies, decoding and
credentials stay httpx2's business.
"""

from __future__ import annotations

import asyncio
import functools
import io
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import aiohttp
import httpx2
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

# The first that fits. Of a request whose connection was never made nobody saw anything; the
# providers tell that from `ConnectError` and `ConnectTimeout`.
_ERRORS: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx2.ReadError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.ClientError, httpx2.TransportError),
    (HttpProcessingError, httpx2.RemoteProtocolError),
)
# All that aiohttp would add by itself, and httpx2 has set or left out on purpose.
_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_MAX_HEADER = 64 * 1024
# The longest answers of today, 128,000 tokens in an event each, have about half of it.
MAX_BODY = 128 * 1024 * 1024
_FOREVER = 24 * 3600.0


class AiohttpClient(httpx2.AsyncClient):
    """A client over aiohttp. Where the environment asks for a proxy, httpx2's own transport is
    used, which knows all kinds of them."""

    def _init_transport(self, *_: Any, **given: Any) -> httpx2.AsyncBaseTransport:
        # The SDKs' own clients over aiohttp do it here too: with the argument `transport` httpx2
        # would not look for proxies.
        context = httpx2.create_ssl_context(given["verify"], trust_env=given["trust_env"])
        return AiohttpTransport(context, given["limits"])


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """A pool of connections, used from one event loop. HTTP/1.1; no proxies of its own.

    Deadlines are those of the request. Waiting for the pool and connecting share one, of both
    together; if it runs out, the error is `ConnectTimeout`.
    """

    def __init__(self, context: ssl.SSLContext, limits: httpx2.Limits) -> None:
        context.set_alpn_protocols(["http/1.1"])
        self._context = context
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._answers: WeakSet[aiohttp.ClientResponse] = WeakSet()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns when the answer's head is there. Raises `httpx2.TransportError`."""
        if self._session is None:
            self._session = self._opened()
        body = await request.aread()
        headers = request.headers.multi_items()
        with _translated():
            answer = await _answered(
                self._session,
                request.extensions.get("timeout", {}),
                method=request.method,
                url=_address(request.url),
                # The body is here whole, and aiohttp knows its length.
                headers=[pair for pair in headers if pair[0].lower() != "transfer-encoding"],
                # aiohttp warns of large bodies unless they are files, which it sends in pieces.
                data=io.BytesIO(body) if body else None,
                allow_redirects=False,
            )
        self._answers.add(answer)
        return httpx2.Response(
            answer.status,
            headers=list(answer.raw_headers),
            stream=_Body(answer),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": (answer.reason or "").encode("ascii", "ignore"),
            },
        )

    async def aclose(self) -> None:
        """Closes all connections, those in use too."""
        session, self._session = self._session, None
        # aiohttp would leave whoever reads one waiting until its deadline.
        for answer in list(self._answers):
            answer.close()
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        keep = self._limits.keepalive_expiry
        connector = _Connector(
            limit=self._limits.max_connections or 0,
            ssl=self._context,
            # The system's own, whatever else is installed.
            resolver=aiohttp.ThreadedResolver(),
            keepalive_timeout=_FOREVER if keep is None else keep,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_OWN_HEADERS,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )


class _Connector(aiohttp.TCPConnector):
    """Makes connections of `_Connection`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        made: type[ResponseHandler] = _Connection
        self._factory = functools.partial(made, loop=self._loop)


class _Connection(ResponseHandler):
    """Tells who reads a body when the parser gives up on it: aiohttp 3.14 leaves them waiting."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Passes an error of the parser on."""
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(exc)


class _Body(httpx2.AsyncByteStream):
    """The answer's body: each piece is all that has come since the last one. Raises
    `httpx2.DecodingError` for one that is longer than any answer, as readers may keep it all."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._answer.content
        size = 0
        try:
            with _translated():
                while piece := await content.readany():
                    size += len(piece)
                    if size > MAX_BODY:
                        raise httpx2.DecodingError("the answer is too long")
                    yield piece
        except httpx2.TransportError:
            # aiohttp would drop what came between the last piece and the break.
            if rest := content._read_nowait(-1):
                yield rest
            raise
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        # Of a body that was read to its end the connection is back in the pool by now.
        self._answer.close()


async def _answered(
    session: aiohttp.ClientSession, seconds: dict[str, float | None], **request: Any
) -> aiohttp.ClientResponse:
    connect = _sum(seconds.get("pool"), seconds.get("connect"))
    write, read = seconds.get("write"), seconds.get("read")
    timeout = aiohttp.ClientTimeout(
        total=None, connect=connect, sock_connect=seconds.get("connect"), sock_read=read
    )
    try:
        # aiohttp has a deadline for all but the writing: if this one is met, it was that.
        async with asyncio.timeout(_sum(connect, write, read)):
            return await session.request(timeout=timeout, **request)
    except aiohttp.ServerTimeoutError:
        raise
    except TimeoutError as error:
        raise httpx2.WriteTimeout("the request could not be sent in time") from error


def _sum(*seconds: float | None) -> float | None:
    return None if None in seconds else sum(each for each in seconds if each is not None)


def _address(url: httpx2.URL) -> str:
    """The address without its credentials: httpx2 has made a header of them."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, HttpProcessingError) as error:
        kind = next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))
        raise kind(str(error)) from error
