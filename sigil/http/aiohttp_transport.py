"""httpx2 over aiohttp, whose parser is written in C.

    SDK ──► httpx2.AsyncClient ──► AiohttpTransport ──► aiohttp ──► socket
            redirects, cookies,     deadlines, errors    pool, TLS,
            decoding, credentials   in httpx2's terms    parser

The SDKs make their requests with httpx2, whose own transport more than doubles the cost of a
token in a stream (docs/decisions/0006-http-transport.md).
"""

from __future__ import annotations

import asyncio
import functools
import io
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import aiohttp
import httpx2
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

from sigil.http.sse import READ_PIECE

# The first match counts. `ConnectError` and `ConnectTimeout` mean that no connection was made, so
# that the server cannot have seen the request: what a failed call may cost depends on it.
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
CheckAddress = Callable[[str, str], None]

_FOREIGN = (aiohttp.ClientError, HttpProcessingError)
# aiohttp would add these by itself. httpx2 has set them, or left them out on purpose.
_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_MAX_HEADER = 64 * 1024
# The longest answers of today, 128,000 tokens in an event each, have about half of it.
MAX_BODY = 128 * 1024 * 1024
_FOREVER = 24 * 3600.0


class AiohttpClient(httpx2.AsyncClient):
    """A client over aiohttp. Where the environment asks for a proxy, httpx2's own transport is
    used, which knows all kinds of proxies."""

    def _init_transport(self, *_: Any, **given: Any) -> httpx2.AsyncBaseTransport:
        # The SDKs' own clients over aiohttp override the same method: if a transport were passed
        # to the constructor, httpx2 would not look for proxies.
        context = httpx2.create_ssl_context(given["verify"], trust_env=given["trust_env"])
        return AiohttpTransport(context, given["limits"])


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """A pool of connections, used from one event loop. HTTP/1.1; no proxies of its own.

    Deadlines come with each request. Waiting for the pool and connecting share one deadline, the
    sum of both; if it runs out, the error is `ConnectTimeout`.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        limits: httpx2.Limits,
        check_address: CheckAddress | None = None,
    ) -> None:
        """`check_address` is called with a host and each address that it has, right before one of
        these is connected to; what it raises ends the request."""
        context.set_alpn_protocols(["http/1.1"])
        self._context = context
        self._limits = limits
        self._check_address = check_address
        self._session: aiohttp.ClientSession | None = None
        self._responses: WeakSet[aiohttp.ClientResponse] = WeakSet()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns as soon as the response's head has come. Raises `httpx2.TransportError`."""
        if self._session is None:
            self._session = self._open_session()
        content = await request.aread()
        headers = request.headers.multi_items()
        url = request.url
        with _translate_errors():
            response = await _send_request(
                self._session,
                request.extensions.get("timeout", {}),
                method=request.method,
                # Without its credentials: httpx2 has made a header of them.
                url=f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}",
                # The whole body is here, and aiohttp knows its length.
                headers=[pair for pair in headers if pair[0].lower() != "transfer-encoding"],
                # aiohttp warns of large bodies unless they are files, which it sends in pieces.
                data=io.BytesIO(content) if content else None,
                allow_redirects=False,
            )
        self._responses.add(response)
        body = _Body(response)
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=body,
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": (response.reason or "").encode("ascii", "ignore"),
                READ_PIECE: body.read,
            },
        )

    async def aclose(self) -> None:
        """Closes all connections, including those in use."""
        session, self._session = self._session, None
        # aiohttp would leave readers waiting until their deadline.
        for response in list(self._responses):
            response.close()
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        keep = self._limits.keepalive_expiry
        connector = _Connector(
            self._check_address,
            limit=self._limits.max_connections or 0,
            ssl=self._context,
            # The system's resolver, whatever else is installed.
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
    """Makes connections of `_Connection`, to addresses that were checked."""

    def __init__(self, check_address: CheckAddress | None, **options: Any) -> None:
        super().__init__(**options)
        self._check_address = check_address
        connection: type[ResponseHandler] = _Connection
        self._factory = functools.partial(connection, loop=self._loop)

    async def _resolve_host(self, host: str, *args: Any, **more: Any) -> list[ResolveResult]:
        # The connection is made to one of the addresses that this returns, and no name is looked
        # up again. Hosts that are addresses themselves come through here, too.
        found = await super()._resolve_host(host, *args, **more)
        if self._check_address is not None:
            for each in found:
                self._check_address(host, each["host"])
        return found


class _Connection(ResponseHandler):
    """aiohttp's, but for three things.

    It passes an error of the parser on to the reader of the body; aiohttp 3.14 leaves the reader
    waiting. It moves the deadline for silence without setting a timer anew for each piece. And
    after each piece it is asked to go on reading, which it does only if it had stopped. The last
    two cost more than parsing the piece.
    """

    _silent_until = 0.0

    def _reschedule_timeout(self) -> None:
        timeout, timer = self._read_timeout, self._read_timeout_handle
        if not timeout:
            self._drop_timeout()
            return
        self._silent_until = self._loop.time() + timeout
        if timer is None or timer.when() > self._silent_until:
            self._drop_timeout()
            self._read_timeout_handle = self._loop.call_later(timeout, self._on_read_timeout)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Goes on reading."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def _on_read_timeout(self) -> None:
        left = self._silent_until - self._loop.time()
        if left > 0:
            self._read_timeout_handle = self._loop.call_later(left, self._on_read_timeout)
        else:
            super()._on_read_timeout()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Passes the error on."""
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(exc)


class _Body(httpx2.AsyncByteStream):
    """The response's body; each piece is all that has come since the last one. Raises
    `httpx2.DecodingError` if it is longer than any answer, since readers may keep all of it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self._size = 0
        self._break: httpx2.TransportError | None = None

    async def read(self) -> bytes:
        """Reads the next piece; empty at the end."""
        if self._break is not None:
            raise self._break
        try:
            piece = await self._content.readany()
        except _FOREIGN as error:
            self._break = _translate_error(error)
            # aiohttp would drop what came between the last piece and the break.
            if rest := self._content._read_nowait(-1):
                return rest
            raise self._break from error
        self._size += len(piece)
        if self._size > MAX_BODY:
            raise httpx2.DecodingError("the answer is too long")
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while piece := await self.read():
                yield piece
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        # If the body was read to its end, the connection is back in the pool by now.
        self._response.close()


async def _send_request(
    session: aiohttp.ClientSession, seconds: dict[str, float | None], **request: Any
) -> aiohttp.ClientResponse:
    connect = _add_deadlines(seconds.get("pool"), seconds.get("connect"))
    write, read = seconds.get("write"), seconds.get("read")
    timeout = aiohttp.ClientTimeout(
        total=None, connect=connect, sock_connect=seconds.get("connect"), sock_read=read
    )
    try:
        # aiohttp has a deadline for everything but writing. If this one runs out, it was that.
        async with asyncio.timeout(_add_deadlines(connect, write, read)):
            return await session.request(timeout=timeout, **request)
    except aiohttp.ServerTimeoutError:
        raise
    except TimeoutError as error:
        raise httpx2.WriteTimeout("the request could not be sent in time") from error


def _add_deadlines(*seconds: float | None) -> float | None:
    """The sum, or None (no deadline) if one of them is None."""
    return None if None in seconds else sum(each for each in seconds if each is not None)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _FOREIGN as error:
        raise _translate_error(error) from error


def _translate_error(error: Exception) -> httpx2.TransportError:
    kind = next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))
    return kind(str(error))
