"""A vendor's API that speaks at a steady pace and does next to nothing for it.

Each answer is made of bytes that were built beforehand, but for its first token, which says
when it was written (CLOCK_MONOTONIC, shared by all processes of a machine). `GET /stats` tells
how many streams there are, were at most, and have ended, and how many tokens were written.

    python -m benchmarks.vendor WIRE TOKENS RATE     prints its port
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from benchmarks.wires import WIRES, Wire

WARM_UP = b"warm up"
CLOCK = "@"
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\nx-request-id: req_bench\r\n\r\n"
)
# Seconds from the request to the first token.
_THINKS = 0.3
_WORDS = (" the", " model", " speaks", " in", " words")


@dataclass(slots=True)
class Stats:
    """Counts of streams, warm-ups left out, and of tokens."""

    open: int = 0
    peak: int = 0
    done: int = 0
    broken: int = 0
    tokens: int = 0


class Vendor:
    """What all connections have in common. `rate` is in tokens a second."""

    def __init__(self, wire: Wire, tokens: int, rate: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.stats = Stats()
        self.tokens = tokens
        self.pause = 1 / rate
        self.token = wire.token
        self.head = _HEAD + (_chunk(wire.head) if wire.head else b"")
        self.words = [_chunk(wire.token(word)) for word in _WORDS]
        self.end = _chunk(wire.end(tokens)) + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One stream after another."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what is written to."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answers when the request is there whole."""
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        if head.startswith(b"GET "):
            self._tell(head.split(maxsplit=2)[1])
        elif len(body) >= _length(head):
            self._received = b""
            self._begin(warm_up=WARM_UP in body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of a stream that was not at its end the client has hung up."""
        if self._timer is not None:
            self._timer.cancel()
            self._vendor.stats.broken += 1
            self._vendor.stats.open -= self._counted

    def _tell(self, path: bytes) -> None:
        """The counts; no lists of models."""
        status = b"200 OK" if path == b"/stats" else b"404 Not Found"
        body = json.dumps(asdict(self._vendor.stats)).encode()
        head = b"HTTP/1.0 %b\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        self._transport.write(head + body)
        self._transport.close()

    def _begin(self, *, warm_up: bool) -> None:
        vendor = self._vendor
        self._counted = not warm_up
        self._left = 1 if warm_up else vendor.tokens
        vendor.stats.open += self._counted
        vendor.stats.peak = max(vendor.stats.peak, vendor.stats.open)
        self._transport.write(vendor.head)
        self._due = vendor.loop.time() + _THINKS
        self._timer = vendor.loop.call_at(self._due, self._first)

    def _first(self) -> None:
        self._speak(_chunk(self._vendor.token(f"{CLOCK}{time.monotonic():.6f}")))

    def _next(self) -> None:
        if self._left:
            self._speak(self._vendor.words[self._left % len(_WORDS)])
            return
        self._timer = None
        self._transport.write(self._vendor.end)
        self._vendor.stats.open -= self._counted
        self._vendor.stats.done += self._counted

    def _speak(self, data: bytes) -> None:
        self._transport.write(data)
        self._vendor.stats.tokens += self._counted
        self._left -= 1
        self._due += self._vendor.pause
        self._timer = self._vendor.loop.call_at(self._due, self._next)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 1 << 60)


async def serve(wire: Wire, tokens: int, rate: float) -> None:
    """Runs until it is killed."""
    vendor = Vendor(wire, tokens, rate)
    server = await vendor.loop.create_server(
        lambda: Connection(vendor), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(WIRES[sys.argv[1]], int(sys.argv[2]), float(sys.argv[3])))
