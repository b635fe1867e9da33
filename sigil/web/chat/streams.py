"""The open event streams of this process.

A stream first sends what the chat's log holds, then `ready`, then new events as they come. It
ends when its reader leaves, when the process stops, or when the store is away; a reader then
reconnects with the id of the last event that it saw.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sse_starlette import EventSourceResponse, ServerSentEvent

from sigil.errors import StoreError
from sigil.web.chat.events import drop_superseded, render_event
from sigil.web.chat.html_cache import HtmlCache
from sigil.web.responses import RequestRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from sigil.channels.live import ChatEventRecord, ChatStore

STREAMS_PER_USER = 24
BLOCK_S = 10.0
HEARTBEAT_S = 15
SLOW_READER_S = 30.0
# A long answer is rendered anew for each draft. After each read a stream rests four times as long
# as the rendering took, so a stream renders for at most a fifth of the time.
REST_FACTOR, LONGEST_REST_S = 4, 1.0


class Streams:
    """Opens event streams, at most `STREAMS_PER_USER` for each user, and ends them all."""

    def __init__(self, chats: ChatStore) -> None:
        self._chats = chats
        self._html = HtmlCache()
        self._open: Counter[str] = Counter()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Ends every stream. Readers come back, to another process, with their last id."""
        self._closing.set()

    def open_stream(
        self, user_id: str, chat: str, after: str, *, html: bool
    ) -> EventSourceResponse:
        """Streams what follows the entry `after` of the chat with this live chat key. Refuses
        with 429 beyond the limit."""
        if self._open[user_id] >= STREAMS_PER_USER:
            raise RequestRefused(
                429,
                "http.too_many_streams",
                f"You already have {STREAMS_PER_USER} chats open. Close one and try again.",
                headers={"Retry-After": "5"},
            )
        return _CountedStream(
            self._stream(chat, after, html),
            partial(self._count_open, user_id),
            ping=HEARTBEAT_S,
            # An event, not a comment: a page sees events, and so notices a dead connection.
            ping_message_factory=lambda: ServerSentEvent("{}", event="ping"),
            send_timeout=SLOW_READER_S,
        )

    async def _stream(self, chat: str, after: str, html: bool) -> AsyncIterator[ServerSentEvent]:
        block = 0.0
        while not self._closing.is_set():
            records = await self._read_log(chat, after, block)
            if records is None:
                return
            started = time.monotonic()
            for record in drop_superseded(records):
                yield await render_event(record, self._html if html else None)
            if records:
                after = records[-1].id
                rest = REST_FACTOR * (time.monotonic() - started)
                await self._rest_or_close(min(LONGEST_REST_S, rest))
            elif block == 0.0:  # the log has been read to its end
                yield ServerSentEvent(event="ready", data="{}")
                block = BLOCK_S

    async def _read_log(self, chat: str, after: str, block: float) -> list[ChatEventRecord] | None:
        """None when the stream has to end: on closing, or if the store is away."""
        reading = asyncio.ensure_future(self._chats.read(chat, after, block=block))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        except StoreError:
            return None
        finally:
            for task in (reading, closing):
                task.cancel()
            await asyncio.gather(reading, closing, return_exceptions=True)

    async def _rest_or_close(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            pass

    @contextmanager
    def _count_open(self, user_id: str) -> Iterator[None]:
        self._open[user_id] += 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]


class _CountedStream(EventSourceResponse):
    """Counts from its first step to its last. Counting in the events' generator would be too late:
    it begins to run when the event loop comes to it, and until then others would pass the check."""

    def __init__(
        self,
        content: AsyncIterator[ServerSentEvent],
        count: Callable[[], AbstractContextManager[None]],
        **options: Any,
    ) -> None:
        super().__init__(content, **options)
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._count():
            await super().__call__(scope, receive, send)
