"""Calls the Bot API. The token is in every address, so no address leaves this module: neither in
an error, nor as the cause of one, nor in what the HTTP library logs.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sigil.channels.telegram.errors import hide_token, read_answer
from sigil.errors import AccountRefused, SendFailed
from sigil.http.transport import is_connect_failure, make_http_client

if TYPE_CHECKING:
    import httpx2

    from sigil.channels.telegram.settings import TelegramSettings

READ_TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that goes out."""

    name: str
    mime_type: str
    data: bytes


class TelegramClient:
    """One bot's calls, from one event loop. Every method raises what `errors.make_error` makes,
    and `SendFailed`."""

    def __init__(self, name: str, settings: TelegramSettings) -> None:
        self._name = name
        self._base = settings.base_url.rstrip("/")
        self._settings = settings
        self._http: httpx2.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def call(
        self,
        method: str,
        given: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, Upload] | None = None,
        silence: float = READ_TIMEOUT_S,
    ) -> Any:
        """Calls a method and returns its result. `silence` is the longest, in
        seconds."""
        content = _encode(given or {}, files or {})
        if files:
            silence = max(silence, UPLOAD_TIMEOUT_S)
        url = f"{self._base}/bot{self._get_token()}/{method}"
        async with self._open("POST", url, silence, **content) as response:
            body = await response.aread()
            return read_answer(response.status_code, body)

    @asynccontextmanager
    async def open_file(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The file at a `file_path` of getFile, piece by piece."""
        url = f"{self._base}/file/bot{self._get_token()}/{quote(path)}"
        async with self._open("GET", url, READ_TIMEOUT_S) as response:
            if response.status_code != 200:
                read_answer(response.status_code, await response.aread())
                raise SendFailed("Telegram answered without the file.")
            yield _read_pieces(response)

    async def close(self) -> None:
        """Closes its connections. Safe to call twice."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    def _get_token(self) -> str:
        token = self._settings.token
        if token is None:
            raise AccountRefused(
                "there is no token.", hint=f"Set channels.{self._name}.token, from @BotFather."
            )
        return token.get_secret_value()

    @asynccontextmanager
    async def _open(
        self, method: str, url: str, silence: float, **content: Any
    ) -> AsyncIterator[httpx2.Response]:
        import httpx2

        http = self._http or await self._make_http()
        given = http.timeout
        limits = httpx2.Timeout(
            connect=given.connect,
            read=silence,
            write=max(given.write or 0, silence),
            pool=given.pool,
        )
        fault: SendFailed | None = None
        try:
            async with http.stream(
                method, url, timeout=limits, follow_redirects=False, **content
            ) as response:
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            fault = _make_fault(error)
        # Outside of `except`, since the library's error, which knows the address, would be kept as
        # the context of ours.
        if fault is not None:
            raise fault

    async def _make_http(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._http is None:
                _hide_tokens()
                self._http = await asyncio.to_thread(make_http_client, READ_TIMEOUT_S)
            return self._http


def _make_fault(error: Exception) -> SendFailed:
    """Whether a call may have been carried out: not if there was never a connection."""
    return SendFailed(
        f"Telegram could not be reached ({type(error).__name__}).",
        outcome_unknown=not is_connect_failure(error),
        rests_account=is_connect_failure(error),
    )


def _encode(given: Mapping[str, Any], files: Mapping[str, Upload]) -> dict[str, Any]:
    """A call's parameters: as JSON, or with files as a form, where what is no text is JSON."""
    if not files:
        text = json.dumps(given, ensure_ascii=False)
        return {
            # Half a character, which JSON could hold, is none that Telegram takes.
            "content": text.encode("utf-8", "replace"),
            "headers": {"Content-Type": "application/json"},
        }
    fields = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in given.items()
    }
    uploads = {name: (each.name, each.data, each.mime_type) for name, each in files.items()}
    return {"data": fields, "files": uploads}


async def _read_pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    async for piece in response.aiter_bytes():
        yield piece


def _hide_tokens() -> None:
    """httpx2 logs the address of each request."""
    library = logging.getLogger("httpx2")
    if not any(isinstance(each, _TokenFilter) for each in library.filters):
        library.addFilter(_TokenFilter())


class _TokenFilter(logging.Filter):
    """Takes tokens out of lines of the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps the record, without tokens."""
        record.msg, record.args = hide_token(record.getMessage()), None
        return True
