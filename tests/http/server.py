"""A server on loopback that says byte by byte what a test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
SOON = 5.0
"""Seconds within which a test's own server answers, however busy the machine."""


@dataclass
class Connection:
    """What a reply may use: the request as it came, and the way back."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def until_gone(self) -> None:
        """Returns once the client has hung up."""
        try:
            assert await self.reader.read() == b""
        except ConnectionError:
            pass


Reply = Callable[[Connection], Awaitable[None]]


@dataclass
class Server:
    port: int = 0
    connections: int = 0
    requests: list[Connection] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}/v1/chat?alt=sse"


@asynccontextmanager
async def run_server(reply: Reply, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    served = Server()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(
                    line.lower().split(b": ", 1) for line in head.strip().split(b"\r\n")[1:]
                )
                body = await reader.readexactly(int(fields.get(b"content-length", 0)))
                connection = Connection(head, body, reader, writer)
                served.requests.append(connection)
                await reply(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            served.hung_up.set()
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


async def say_hello(connection: Connection) -> None:
    connection.send(HELLO)


async def stay_silent(connection: Connection) -> None:
    await connection.until_gone()


@asynccontextmanager
async def run_deaf_server() -> AsyncIterator[int]:
    """The port of a server that takes connections and does nothing with them."""
    done = asyncio.Event()

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await asyncio.sleep(0)
