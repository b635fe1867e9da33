"""Takes signed requests of programs, and says exactly what is wrong with the others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sigil.channels.base import Check, HookRequest, HookResponse
from sigil.channels.webhook.attachments import keep_files
from sigil.channels.webhook.check import probe_callback
from sigil.channels.webhook.payloads import PostedMessage
from sigil.channels.webhook.signature import NotSigned, check_signature
from sigil.channels.webhook.spec import WebhookType
from sigil.errors import MessageInvalid
from sigil.messages.exchange import InboundMessage

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext, Inbox
    from sigil.channels.webhook.settings import WebhookSettings

_SIGN = (
    "Sign the timestamp, a full stop and the raw body with the secret of this entry: "
    "X-Sigil-Signature: sha256=HEX."
)


class WebhookListener:
    """The listener of one entry. All of its messages come in by hooks."""

    def __init__(self, context: AccountContext, settings: WebhookSettings) -> None:
        self.name = context.name
        self._context = context
        self._settings = settings

    async def listen(self, inbox: Inbox) -> None:
        """Returns at once: programs call the gateway."""

    async def close(self) -> None:
        """Does nothing: there is no connection."""

    async def receive_hook(self, request: HookRequest, inbox: Inbox) -> HookResponse:
        """202 with `{"id", "duplicate"}` once the message is accepted. 401 without a valid
        signature, 405 for another method than POST, 422 for a body that is no message. Raises
        `StoreError`."""
        if request.method != "POST":
            return _refuse(405, "webhook.method", "Only POST is taken.", headers={"Allow": "POST"})
        assert self._settings.secret is not None
        secret = self._settings.secret.get_secret_value()
        try:
            check_signature(secret, request.headers, request.body, time.time())
        except NotSigned as error:
            return _refuse(401, "webhook.signature", str(error), _SIGN)
        try:
            posted = await asyncio.to_thread(PostedMessage.model_validate_json, request.body)
            accepted = await inbox.receive(await self._make_message(posted, inbox))
        except ValidationError as error:
            return _refuse(422, "webhook.invalid", _describe(error))
        except MessageInvalid as error:
            return _refuse(422, error.code, error.message, error.hint)
        return _answer(202, {"id": accepted.id, "duplicate": accepted.duplicate})

    async def check(self) -> Sequence[Check]:
        """Asks whether the program's callback can be reached."""
        url = self._settings.callback_url
        if url is None:
            return [Check("no callback_url is set, so replies cannot be delivered", ok=True)]
        return [await probe_callback(url)]

    def _fetch(self, url: str) -> AsyncIterator[bytes]:
        return self._context.fetcher.fetch(url, most=WebhookType.spec.media.largest_in)

    async def _make_message(self, posted: PostedMessage, inbox: Inbox) -> InboundMessage:
        kept = await keep_files(posted.attachments, self._fetch, inbox)
        return InboundMessage(
            channel_type=self._context.channel_type,
            account=self._context.account,
            channel_id=posted.chat,
            message_id=posted.id,
            sender_id=posted.sender,
            sender_name=posted.sender_name,
            content=posted.text,
            thread_id=posted.thread,
            is_direct=posted.direct,
            addressed=posted.addressed,
            attachments=tuple(kept),
        )


def _describe(error: ValidationError) -> str:
    """What is wrong first, without any of the body's words."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{where}: {first['msg']}"


def _refuse(
    status: int,
    code: str,
    message: str,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HookResponse:
    error = {"code": code, "message": message, "hint": hint}
    return _answer(status, {"error": error}, headers)


def _answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HookResponse:
    return HookResponse(status, json.dumps(body).encode(), "application/json", headers or {})
