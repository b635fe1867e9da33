"""A server on loopback that speaks the APIs of all vendors, and breaks them in every way.

The name of the model says which way, as `fault.place`, so that one server serves any number of
tests at once; any other name is answered. The places are `before` the first token and `mid`,
after it, of a stream, and `whole` for an answer that is not streamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.providers.exchange import KEY, REQUEST_ID, Exchange, answer_well
from tests.providers.faults import FAULTS
from tests.providers.loopback import listen, read_request
from tests.providers.wires.anthropic import ANTHROPIC
from tests.providers.wires.google import GOOGLE
from tests.providers.wires.openai_chat import CHAT
from tests.providers.wires.openai_responses import RESPONSES
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

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        (wire,) = (wire for wire in WIRES if wire.path in request.path)
        always = {wire.request_id_header: REQUEST_ID}
        exchange = Exchange(request, reader, writer, always, wire=wire)
        self.calls.append(exchange)
        self._check(exchange)
        fault = exchange.model.rpartition(".")[0]
        await (FAULTS[fault].act if fault else answer_well)(exchange)

    def _check(self, exchange: Exchange) -> None:
        name, value = exchange.wire.key_header(KEY)
        if exchange.request.headers.get(name) != value:
            self.violations.append(f"{exchange.path}: no key in {name}")
        if exchange.request.headers.get("content-type") != "application/json":
            self.violations.append(f"{exchange.path}: content-type")


@asynccontextmanager
async def fault_server() -> AsyncIterator[FaultServer]:
    """The server; leaving fails if a request was not the vendor's."""
    server = FaultServer()
    async with listen(server.serve) as server.address:
        yield server
    assert server.violations == []
