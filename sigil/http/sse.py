"""Reads an answer off server-sent events (https://html.spec.whatwg.org/#server-sent-events).

The SDKs have readers of their own, which hand every event through several generators; and they
hand out one event at a time, so that what has come at once is taken apart and put together again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

_MAX_ERROR_BODY = 64 * 1024
_MAX_EVENT = 16 * 1024 * 1024
# How long the end of a complete answer may take, so that its connection can be used again.
_LINGER_S = 0.2
_END = b"\n\n"
_MARK = b"\xef\xbb\xbf"


class Events:
    """Takes a stream apart. Only the data of events is given out: all vendors say in it what kind
    of event it is."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of the events that end in this piece. Raises `ValueError` for one that is no
        UTF-8 or does not end."""
        rest = self._rest
        if b"\r" in piece or rest.endswith(b"\r"):
            piece = self._with_plain_ends(piece)
        looked_at = max(0, len(rest) - 1)
        rest += piece
        if not self._begun and len(rest) >= len(_MARK):
            self._begun = True
            if rest.startswith(_MARK):
                del rest[: len(_MARK)]
        end = rest.rfind(_END, looked_at)
        if end < 0:
            if len(rest) > _MAX_EVENT:
                raise ValueError("an event that does not end")
            return
        blocks = bytes(rest[:end]).split(_END)
        del rest[: end + len(_END)]
        for block in blocks:
            if data := _data_of(block.decode()):
                yield data

    def _with_plain_ends(self, piece: bytes) -> bytes:
        """A carriage return at the end may be half of a line's end: it waits."""
        if self._rest.endswith(b"\r"):
            self._rest.pop()
            piece = b"\r" + piece
        half = piece.endswith(b"\r")
        piece = piece[:-1] if half else piece
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return piece + b"\r" if half else piece


async def texts(
    response: httpx2.Response, take: Callable[[str], str], done: Callable[[], bool]
) -> AsyncGenerator[str, None]:
    """The text that `take` finds in the events' data, once for each read of the connection that
    has events; it may be empty. `take` is given none after one for which `done` says that nothing
    more is to come.

    Ends there or with the body. What `take` raises comes after the text before it, and so does
    `httpx2.TransportError` if the connection breaks.
    """
    events = Events()
    async with aclosing(_pieces(response)) as pieces:
        async for piece in pieces:
            said: str | None = None
            try:
                for data in events.feed(piece):
                    said = (said or "") + take(data)
                    if done():
                        break
            except Exception:
                if said:
                    yield said
                raise
            if said is not None:
                yield said
            if done():
                await _drained(pieces)
                return


async def body_of(response: httpx2.Response) -> object:
    """The JSON that came where a stream was due, or as much of it as an error may be long.
    Raises `ValueError` for what is none."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_ERROR_BODY:
            break
    return json.loads(body)


def _pieces(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    encoded = response.headers.get("content-encoding", "identity") != "identity"
    return response.aiter_bytes() if encoded else response.aiter_raw()


async def _drained(pieces: AsyncIterator[bytes]) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_LINGER_S):
            async for _ in pieces:
                pass


def _data_of(block: str) -> str:
    """The event's data, empty if it has none."""
    if block.startswith("data: ") and "\n" not in block:
        return block[6:]
    lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
    return "\n".join(lines)
