"""One request to a made-up vendor, and the pieces of its answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from tests.providers.wires.wire import GOOD, Json, Refusal, Wire

KEY = "sk-test-0123456789abcdef"
REQUEST_ID = "req_0001"
WORDS = ("Hello", " there")
TEXT = "".join(WORDS)


@dataclass
class Exchange:
    """One request and the way to answer it."""

    wire: Wire
    path: str
    headers: dict[str, str]
    body: Json
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def model(self) -> str:
        if "model" in self.body:
            return str(self.body["model"])
        return self.path.rpartition("/models/")[2].partition(":")[0]

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream")) or "streamGenerateContent" in self.path

    @property
    def place(self) -> str:
        return self.model.rpartition(".")[2] if self.streams else "whole"

    async def head(self, status: int, kind: str, **extra: str) -> None:
        headers = {
            "content-type": kind,
            self.wire.request_id_header: REQUEST_ID,
            "transfer-encoding": "chunked",
            **{name.replace("_", "-"): value for name, value in extra.items()},
        }
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

    async def begin(self) -> None:
        """All that comes before the fault."""
        if self.place == "whole":
            await self.head(200, "application/json")
            return
        await self.head(200, "text/event-stream")
        await self.send(self.wire.opening)
        if self.place == "mid":
            await self.send(self.wire.word(WORDS[0]))

    def rest(self, how: str = GOOD) -> str:
        """What completes the answer after `begin`."""
        if self.place == "whole":
            return json.dumps(self.wire.whole(TEXT, how))
        left = WORDS[1:] if self.place == "mid" else WORDS
        said = "".join(map(self.wire.word, left)) if how == GOOD else ""
        return said + self.wire.closing(how)

    async def refuse(self, refusal: Refusal, **headers: str) -> None:
        message = refusal.message.replace("{key}", KEY)
        wrong = Refusal(refusal.status, refusal.word, message, refusal.code)
        await self.head(refusal.status, "application/json", **headers)
        await self.send(json.dumps(self.wire.refused(wrong)))
        await self.end()

    async def until_closed(self) -> None:
        await self.reader.read()


async def good(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(exchange.rest())
    await exchange.end()
