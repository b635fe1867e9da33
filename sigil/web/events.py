"""A live chat's log as server-sent events."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sse_starlette import EventSourceResponse, ServerSentEvent

from sigil.errors import StoreError
from sigil.web.answers import Refused
from sigil.web.markdown import render

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from sigil.channels.live import ChatEventRecord, ChatStore

STREAMS_PER_USER = 24
BLOCK_S = 10.0
HEARTBEAT_S = 15
SLOW_READER_S = 30.0
_RENDER_APART_CHARS = 4_000
_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class Streams:
    """The open event streams of this process, bounded per user."""

    def __init__(self, chats: ChatStore) -> None:
        self._chats = chats
        self._open: Counter[str] = Counter()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Ends every stream; a reader comes back to another process with its last id."""
        self._closing.set()

    def respond(self, user_id: str, chat: str, after: str, *, html: bool) -> EventSourceResponse:
        """Streams what follows the entry `after`. Refuses with 429 beyond the limit."""
        if self._open[user_id] >= STREAMS_PER_USER:
            raise Refused(
                429,
                "http.too_many_streams",
                f"{STREAMS_PER_USER} pages are open already. Close one.",
                headers={"Retry-After": "5"},
            )
        return EventSourceResponse(
            self._stream(user_id, chat, after, html),
            ping=HEARTBEAT_S,
            # An event rather than a comment, so that a page notices a connection that died.
            ping_message_factory=lambda: ServerSentEvent("{}", event="ping"),
            send_timeout=SLOW_READER_S,
        )

    async def _stream(
        self, user_id: str, chat: str, after: str, html: bool
    ) -> AsyncIterator[ServerSentEvent]:
        with self._counted(user_id):
            block = 0.0
            while not self._closing.is_set():
                records = await self._read(chat, after, block)
                if records is None:
                    return
                started = time.monotonic()
                for record in latest(records):
                    yield await _event(record, html)
                if records:
                    after = records[-1].id
                elif block == 0.0:  # all that was there has been told
                    yield ServerSentEvent(event="ready", data="{}")
                    block = BLOCK_S
                # A long answer is rendered anew for each draft: that may take a fifth of the time.
                await self._rest(min(1.0, 4 * (time.monotonic() - started)) if records else 0)

    async def _read(self, chat: str, after: str, block: float) -> list[ChatEventRecord] | None:
        """None when the stream has to end: on closing, or with the store away."""
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

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            pass

    @contextmanager
    def _counted(self, user_id: str) -> Iterator[None]:
        self._open[user_id] += 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]


def last_id(header: str | None, query: str | None) -> str:
    """Where a reader left off: its `Last-Event-ID`, else `?after=`, else the beginning."""
    given = header or query or "0-0"
    if not _ENTRY_ID.fullmatch(given):
        raise Refused(400, "http.bad_event_id", "Last-Event-ID or after is not an event's id.")
    return given


def latest(records: Sequence[ChatEventRecord]) -> list[ChatEventRecord]:
    """Without drafts that a later draft or reply of the same turn replaces."""
    kept: list[ChatEventRecord] = []
    settled: set[Any] = set()
    for record in reversed(records):
        kind, turn = record.data.get("type"), record.data.get("turn")
        if kind == "draft" and turn in settled:
            continue
        if kind in {"draft", "reply"}:
            settled.add(turn)
        kept.append(record)
    return kept[::-1]


async def _event(record: ChatEventRecord, html: bool) -> ServerSentEvent:
    data = {**record.data, "at": int(record.id.partition("-")[0])}
    kind = str(data.pop("type"))
    if html and kind in {"draft", "reply"}:
        data["html"] = await _rendered(data)
        if kind == "draft":
            del data["text"]
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return ServerSentEvent(payload, event=kind, id=record.id)


async def _rendered(data: Mapping[str, Any]) -> str:
    text = str(data.get("text", ""))
    if len(text) < _RENDER_APART_CHARS:
        return render(text)
    return await asyncio.to_thread(render, text)
