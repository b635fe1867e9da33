"""What the vendors' servers on loopback have in common: an answer on the wire, and its ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

Json = dict[str, Any]


@dataclass
class Exchange:
    body: Json
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    closed_by_client: asyncio.Event
    path: str = ""
    always: Mapping[str, str] = field(default_factory=dict)

    async def head(self, status: int, content_type: str, extra: Mapping[str, str]) -> None:
        """`extra` has headers by their names, `_` for `-`; `always` are sent with every answer."""
        headers = {"content-type": content_type, "transfer-encoding": "chunked", **self.always}
        headers |= {name.replace("_", "-"): value for name, value in extra.items()}
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.writer.drain()

    async def send(self, text: str) -> None:
        data = text.encode()
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
        if end == "clean":
            await self.end()
        elif end == "cut":
            await cut(self)
        elif end == "silence":
            await silence(self)


async def cut(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def silence(exchange: Exchange) -> None:
    await exchange.until_closed()


class Server(Protocol):
    url: str
    violations: list[str]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...


ServerT = TypeVar("ServerT", bound=Server)


@asynccontextmanager
async def serving(served: ServerT, path: str = "") -> AsyncIterator[ServerT]:
    """Serves on a free port; leaving fails if any request broke the rules."""
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, limit=2**22)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
    assert served.violations == []
