"""Reads server-sent events (https://html.spec.whatwg.org/#server-sent-events).

    read from the connection ──► EventReader.feed ──► data of each event ──► take ──► text
         b"data: {…}\\n\\nda"          cuts the stream         "{…}"           caller     joined

A read of the connection returns all the bytes that have arrived, whatever the events in them:
half an event, or forty if the process was busy. `read_texts` yields one text for each read, so that
a reader that has fallen behind catches up in fewer, larger steps.

The vendors' SDKs have readers of their own. They pass every event through several generators and
hand out one at a time, which costs more than everything else that is done for a token
(docs/decisions/0006-http-transport.md).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

ReadPiece = Callable[[], Awaitable[bytes]]

READ_PIECE = "sigil.read_piece"
"""The name of a response's extension: a `ReadPiece` by which its transport hands out the body.
Without it every piece passes three generators of httpx2."""

_MAX_ERROR_BODY = 64 * 1024
_MAX_EVENT = 16 * 1024 * 1024
# How long we wait for the end of the body after a complete answer. Only a connection whose body
# was read to its end can be used again.
_LINGER_S = 0.2
_END = b"\n\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventReader:
    """Cuts one stream into events and gives out their data. Names and ids of events are left out:
    what model vendors send says in the data what kind of event it is."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yields the data of the events that this piece completes.

        Raises `ValueError` for an event that is not UTF-8 or grows too long, after the data of
        the events before it.
        """
        rest = self._rest
        is_one = self._begun and not rest and piece.endswith(_END) and piece.count(_END) == 1
        if is_one and b"\r" not in piece:
            # One whole event, which is what comes mostly.
            if data := _read_data(piece[: -len(_END)].decode()):
                yield data
            return
        if b"\r" in piece or rest.endswith(b"\r"):
            piece = self._normalize_line_ends(piece)
        # The first half of an end may be there already; what comes before it was searched.
        searched = max(0, len(rest) - 1)
        rest += piece
        if not self._begun and len(rest) >= len(_BYTE_ORDER_MARK):
            self._begun = True
            if rest.startswith(_BYTE_ORDER_MARK):
                del rest[: len(_BYTE_ORDER_MARK)]
        end = rest.rfind(_END, searched)
        if end < 0:
            if len(rest) > _MAX_EVENT:
                raise ValueError("an event that does not end")
            return
        blocks = bytes(rest[:end]).split(_END)
        del rest[: end + len(_END)]
        for block in blocks:
            if data := _read_data(block.decode()):
                yield data

    def _normalize_line_ends(self, piece: bytes) -> bytes:
        """Lines may end with CR, LF or both. A CR at the end of the piece may be half of a CRLF,
        so it is kept back until the next piece shows what it is."""
        if self._rest.endswith(b"\r"):
            self._rest.pop()
            piece = b"\r" + piece
        half = piece.endswith(b"\r")
        piece = piece[:-1] if half else piece
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return piece + b"\r" if half else piece


async def read_texts(
    response: httpx2.Response, take: Callable[[str], str], is_over: Callable[[], bool]
) -> AsyncGenerator[str, None]:
    """Passes the data of each event to `take`, which returns the text in it, and yields the texts
    of one read of the connection as one. It may be empty: something came, but no text.

    Ends with the body, or when `is_over` says after an event that nothing more is to come. What
    `take` raises is passed on after the text before it. So is `httpx2.TransportError` if the
    connection breaks.
    """
    reader = EventReader()
    async with _open_body(response) as read:
        while piece := await read():
            text: str | None = None
            try:
                for data in reader.feed(piece):
                    text = (text or "") + take(data)
                    if is_over():
                        break
            except Exception:
                if text:
                    yield text
                raise
            if text is not None:
                yield text
            if is_over():
                await _drain(read)
                return


async def read_json_body(response: httpx2.Response) -> object:
    """The JSON body of a response that should have been a stream; at most 64 KB of it are read.
    Raises `ValueError` if it is not JSON."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_ERROR_BODY:
            break
    return json.loads(body)


@asynccontextmanager
async def _open_body(response: httpx2.Response) -> AsyncIterator[ReadPiece]:
    """The function that reads the next piece of the body: bytes, or nothing at its end."""
    read: ReadPiece | None = response.extensions.get(READ_PIECE)
    if read is not None and response.headers.get("content-encoding", "identity") == "identity":
        yield read
        return
    async with aclosing(response.aiter_bytes()) as pieces:
        yield lambda: anext(pieces, b"")


async def _drain(read: ReadPiece) -> None:
    """Reads the rest of the body, so that the connection goes back to the pool. Whatever goes
    wrong with it takes nothing from the answer, which is complete."""
    with suppress(Exception):
        async with asyncio.timeout(_LINGER_S):
            while await read():
                pass


def _read_data(block: str) -> str:
    """The data of an event, empty if it has none."""
    if block.startswith("data: ") and "\n" not in block:
        return block[6:]
    first, _, second = block.partition("\n")
    if first.startswith("event:") and second.startswith("data: ") and "\n" not in second:
        return second[6:]
    lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
    return "\n".join(lines)
