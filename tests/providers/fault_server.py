"""A server on loopback that speaks the APIs of all vendors, and breaks them in every way.

Which way is said by the name of the model that is asked for, `fault.place`, so that one server
serves any number of tests at once; any other name is answered. The places are `before` the first
token and `mid`, after it, of a stream, and `whole` for an answer that is not streamed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.providers.exchange import KEY, Exchange, good
from tests.providers.faults import FAULTS
from tests.providers.wires.anthropic import ANTHROPIC
from tests.providers.wires.google import GOOGLE
from tests.providers.wires.openai import CHAT, RESPONSES
from tests.providers.wires.wire import Wire

WIRES = (ANTHROPIC, CHAT, RESPONSES, GOOGLE)


@dataclass
class FaultServer:
    """`calls` keeps what came in; `violations` what no vendor would have taken."""

    address: str = ""
    calls: list[Exchange] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def url(self, wire: Wire) -> str:
        """The `base_url` for this API, in the form that its SDK expects."""
        return f"{self.address}/v1" if wire in (CHAT, RESPONSES) else self.address

    def calls_of(self, model: str) -> int:
        return sum(call.model == model for call in self.calls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except (LookupError, ValueError) as error:
            self.violations.append(f"not understood: {error!r}")
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *raw = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (h.split(": ", 1) for h in raw)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        path = line.split(" ")[1]
        (wire,) = (wire for wire in WIRES if wire.path in path)
        exchange = Exchange(wire, path, headers, body, reader, writer)
        self.calls.append(exchange)
        self._check(exchange)
        fault = exchange.model.rpartition(".")[0]
        await (FAULTS[fault].act if fault else good)(exchange)

    def _check(self, exchange: Exchange) -> None:
        name, value = exchange.wire.key_header(KEY)
        if exchange.headers.get(name) != value:
            self.violations.append(f"{exchange.path}: no key in {name}")
        if exchange.headers.get("content-type") != "application/json":
            self.violations.append(f"{exchange.path}: content-type")


@asynccontextmanager
async def fault_server() -> AsyncIterator[FaultServer]:
    """The server; leaving fails if a request was not the vendor's."""
    served = FaultServer()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await served.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the tests are over; a client may keep its connection for longer
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**22)
    served.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await server.wait_closed()
    assert served.violations == []
