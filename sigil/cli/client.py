"""A client of the gateway's HTTP API, for `sigil chat`.

    async with Chat("http://127.0.0.1:8787") as chat:
        await chat.open()
        await chat.say("hello", make_message_id())
        async for event in chat.events(): …

The events of a chat are a log with ids. After a lost connection the client asks for what came
after the last id that it saw, so that nothing is shown twice or missed.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from sigil.channels.live import EVENT_TYPES
from sigil.errors import SigilError, StoreFull

CHANNEL = "terminal"
RETRY_FOR_S = 30.0
_PAUSE_S = 0.5
_SILENCE_S = 40.0  # the gateway pings every 15 s
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the chat's log; `sigil.channels.live` describes the kinds and their data."""

    kind: str
    data: dict[str, Any]
    id: str


def make_message_id() -> str:
    """An id that no message has had. Replies name the messages that they answer by it."""
    return uuid.uuid4().hex


class _Interrupted(Exception):
    """The gateway is away; it may come back."""


class Chat:
    """One chat with the gateway. Use it from one task only."""

    def __init__(self, url: str, *, token: str | None = None, as_user: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"User-Agent": "sigil-chat"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if as_user is not None:
            headers["X-Sigil-As"] = as_user
        self._http = httpx2.AsyncClient(
            base_url=self.url,
            headers=headers,
            params={"channel": CHANNEL},
            timeout=httpx2.Timeout(10.0, read=_SILENCE_S),
            trust_env=False,  # no proxy between this and the gateway
        )
        self._id = ""
        self._after = "0-0"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()

    async def open(self) -> dict[str, Any]:
        """Begins a chat and returns the answer of `/api/me`. Raises `SigilError`."""
        try:
            me = await self._request_json("GET", "/api/me")
            self._id = (await self._request_json("POST", "/api/chats"))["id"]
        except _Interrupted as error:
            raise self._make_away_error() from error
        return me

    async def say(self, text: str, message_id: str) -> None:
        """Sends a message under an id that is new, from `make_message_id`. While the gateway is
        away it tries again, for `RETRY_FOR_S`.

        The message keeps its id, so that the gateway recognises a repeat. Raises `SigilError`.
        """
        body = {"text": text, "message_id": message_id}
        deadline = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                await self._request_json("POST", f"/api/chats/{self._id}/messages", body)
                return
            except _Interrupted as error:
                if time.monotonic() > deadline:
                    raise self._make_away_error() from error
            await asyncio.sleep(_PAUSE_S)

    async def events(self) -> AsyncGenerator[Event]:
        """The chat's events from where the last call ended. Reconnects when the connection is
        lost.

        Raises `SigilError` when the gateway has been away for `RETRY_FOR_S`.
        """
        last_seen = time.monotonic()
        while True:
            try:
                async with self._open_stream() as lines:
                    async for event in _parse_events(lines):
                        last_seen = time.monotonic()
                        self._after = event.id or self._after
                        yield event
            except (_Interrupted, httpx2.TransportError) as error:
                if time.monotonic() - last_seen > RETRY_FOR_S:
                    raise self._make_away_error() from error
            await asyncio.sleep(_PAUSE_S)

    @asynccontextmanager
    async def _open_stream(self) -> AsyncIterator[AsyncIterator[str]]:
        path = f"/api/chats/{self._id}/events"
        headers = {"Last-Event-ID": self._after, "Accept": "text/event-stream"}
        async with self._http.stream("GET", path, headers=headers) as response:
            if response.status_code != 200:
                await response.aread()
                raise _make_error(response)
            yield _split_lines(response.aiter_text())

    async def _request_json(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx2.TransportError as error:
            raise _Interrupted from error
        if response.is_success:
            answer = response.json()
            assert isinstance(answer, dict)
            return answer
        raise _make_error(response)

    def _make_away_error(self) -> SigilError:
        return SigilError(
            f"the gateway at {self.url} does not answer.", hint="Start it with `sigil up`."
        )


def _make_error(response: httpx2.Response) -> Exception:
    try:
        refusal = response.json()["error"]
        message, code = str(refusal["message"]), refusal["code"]
    except (ValueError, KeyError, TypeError):
        message, code = f"the gateway answered {response.status_code}.", ""
    # Memory does not get free within the time for which this would try again.
    if response.status_code in _TRANSIENT and code != StoreFull.code:
        return _Interrupted()
    hint = "Pass it with --token." if response.status_code == 401 else None
    return SigilError(message, hint=hint)


async def _split_lines(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Ends lines at LF or CRLF only. `str.splitlines` would also split at characters, such as
    U+2028, that may stand in a message."""
    rest = ""
    async for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line.removesuffix("\r")


async def _parse_events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Puts the fields of server-sent events together; an empty line ends an event."""
    fields: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif line == "" and fields:
            kind, raw = fields.get("event", ""), fields.get("data", "")
            if kind in EVENT_TYPES:
                yield Event(kind, json.loads(raw), fields.get("id", ""))
            fields = {}
