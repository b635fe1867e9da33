"""What the servers on loopback share: requests, the pieces of an answer, and how it may end."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names are in lower case; a request without a body has `{}`."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Json


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Raises `IncompleteReadError` when the client hangs up instead."""
    line, *raw = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in raw)}
    data = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = line.split(" ")
    return Request(method, path, headers, json.loads(data or b"{}"))


@dataclass
class Exchange:
    """A request and the way to answer it. `always` has the headers of every answer."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    always: Mapping[str, str]
    closed_by_client: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> Json:
        return self.request.body

    @property
    def path(self) -> str:
        return self.request.path

    async def head(self, status: int, content_type: str, **extra: str) -> None:
        """`extra` has headers by their names, with `_` for `-`."""
        headers = {"content-type": content_type, "transfer-encoding": "chunked", **self.always}
        headers |= {name.replace("_", "-"): value for name, value in extra.items()}
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.writer.drain()

    async def send(self, data: str | bytes) -> None:
        data = data.encode() if isinstance(data, str) else data
        if data:
            self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await self.writer.drain()

    async def end(self) -> None:
        """Ends the body as HTTP does; without it the client sees a connection that broke."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def until_closed(self) -> None:
        await self.reader.read()
        self.closed_by_client.set()

    async def end_as(self, end: str) -> None:
        """`clean`, `cut` or `silence`."""
        await {"clean": Exchange.end, "cut": cut, "silence": silence}[end](self)


Reply = Callable[[Exchange], Awaitable[None]]


async def cut(exchange: Exchange) -> None:
    """A reply that resets the connection."""
    exchange.writer.transport.abort()


async def silence(exchange: Exchange) -> None:
    """A reply that never comes."""
    await exchange.until_closed()


def status(code: int, body: object, **headers: str) -> Reply:
    """A reply of this status. A body that is a string is sent as it is, any other as JSON."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head(code, "application/json", **headers)
        await exchange.send(body if isinstance(body, str) else json.dumps(body))
        await exchange.end()

    return reply


def event_stream(*events: str, end: str = "clean", **headers: str) -> Reply:
    """A reply of these events, and then the end: `clean`, `cut` or `silence`."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head(200, "text/event-stream", **headers)
        for event in events:
            await exchange.send(event)
        await exchange.end_as(end)

    return reply


@dataclass
class VendorServer(ABC):
    """A vendor's API. It keeps what it is sent and notes what the vendor would not have taken."""

    always: ClassVar[Mapping[str, str]]

    url: str = ""
    requests: list[Json] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    closed_by_client: asyncio.Event = field(default_factory=asyncio.Event)

    @abstractmethod
    def next_reply(self) -> Reply: ...

    @abstractmethod
    def find_violations(self, request: Request) -> Iterator[str]: ...

    def reset(self) -> None:
        """Makes it what it was when it started; it stays at its address."""
        fresh = type(self)(url=self.url)
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
            while self.always.get("connection") != "close" and not writer.is_closing():
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed_by_client.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        self.requests.append(request.body)
        self.headers.append(request.headers)
        self.paths.append(request.path)
        self.violations += (found := list(self.find_violations(request)))
        reply = status(400, {"error": {"message": "; ".join(found)}}) if found else None
        exchange = Exchange(request, reader, writer, self.always, self.closed_by_client)
        await (reply or self.next_reply())(exchange)


ServerT = TypeVar("ServerT", bound=VendorServer)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def run_server(server: ServerT, path: str = "") -> AsyncIterator[ServerT]:
    """The server on a free port."""
    async with listen(server.serve) as address:
        server.url = address + path
        yield server


@asynccontextmanager
async def listen(serve: Serve) -> AsyncIterator[str]:
    """The address of a server that is closed in the end, whoever still keeps a connection."""
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the tests are over; a client may keep its connection for longer
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=2**22)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await server.wait_closed()
