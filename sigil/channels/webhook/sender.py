"""Posts replies to the program's callback, signed as its own requests are."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from sigil.channels.webhook.payloads import make_callback
from sigil.channels.webhook.signature import sign
from sigil.errors import AccountRefused, SendFailed, SendRefused
from sigil.http.retry_after import read_retry_after
from sigil.http.transport import is_connect_failure, make_http_client

if TYPE_CHECKING:
    import httpx2

    from sigil.channels.base import AccountContext, Chunk
    from sigil.channels.webhook.settings import WebhookSettings

READ_TIMEOUT_S = 30.0

# What a program may answer besides 2xx; the table stands in docs/channels/webhook.md too.
_ACCOUNT = frozenset({401, 403, 404, 405})
_AGAIN = frozenset({408, 425, 429})
_ALREADY_THERE = 409
_CHAT_GONE = 410


class WebhookSender:
    """The sender of one entry."""

    def __init__(self, context: AccountContext, settings: WebhookSettings) -> None:
        self.name = context.name
        self._settings = settings
        self._client: httpx2.AsyncClient | None = None

    async def send(self, chunk: Chunk) -> str | None:
        """Posts one chunk. The platform's id is the chunk's own."""
        url = self._settings.callback_url
        if url is None:
            raise SendRefused(
                "no callback_url is set.", hint=f"Set channels.{self.name}.callback_url."
            )
        if self._client is None:
            self._client = await asyncio.to_thread(make_http_client, READ_TIMEOUT_S)
        body = json.dumps(make_callback(chunk), ensure_ascii=False).encode()
        await self._post(self._client, url, body)
        return chunk.id

    async def close(self) -> None:
        """Closes the client, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post(self, client: httpx2.AsyncClient, url: str, body: bytes) -> None:
        import httpx2

        assert self._settings.secret is not None
        secret = self._settings.secret.get_secret_value()
        headers = {
            "Content-Type": "application/json",
            **sign(secret, int(time.time()), body),
        }
        try:
            # What the program answers is not read: it may be endless, and only the status counts.
            async with client.stream("POST", url, content=body, headers=headers) as response:
                _check_status(response, self.name)
        except httpx2.TransportError as error:
            raise SendFailed(
                f"the callback could not be reached ({type(error).__name__}).",
                outcome_unknown=not is_connect_failure(error),
                rests_account=is_connect_failure(error),
            ) from error


def _check_status(response: httpx2.Response, name: str) -> None:
    """Raises what the status means, if it is not a success."""
    status = response.status_code
    if status < 300 or status == _ALREADY_THERE:
        return
    said = f"the callback answered {status}."
    if status in _AGAIN or status >= 500:
        raise SendFailed(
            said,
            retry_after=read_retry_after(response.headers.get("retry-after")),
            outcome_unknown=status >= 500 and status != 503,
            rests_account=status in {429, 503},
        )
    if status < 400:
        raise AccountRefused(
            f"{said} Redirects are not followed.",
            hint=f"Set channels.{name}.callback_url to the final address.",
        )
    if status in _ACCOUNT:
        raise AccountRefused(
            said, hint=f"Check channels.{name}.callback_url, and that both sides use one secret."
        )
    raise SendRefused(said, closes_chat=status == _CHAT_GONE)
