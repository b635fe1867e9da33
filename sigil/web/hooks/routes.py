"""The hooks: requests of platforms, which a channel's listener checks and hands in.

    find the account ─▶ read the body, within its limit ─▶ the listener: check, receive ─▶ answer

The listener checks who calls, by a signature or a secret, before anything else. A hook is answered
with 200 only after what it brought was accepted. What goes wrong on our side is a 503, so that the
platform comes again; what is wrong with the request is a 4xx.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from json import JSONDecodeError
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from sigil.channels.base import HookRequest, HookResponse, ReceivesHooks
from sigil.errors import ChannelError, MessageInvalid
from sigil.web.responses import RETRY_AFTER_S, RequestRefused, read_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.channels.base import Inbox
    from sigil.inbound.accounts import HeardAccount

log = structlog.get_logger(__name__)

METHODS = ("GET", "POST", "PUT")
# A listener may have to fetch a file first. Platforms wait for a minute at most, and what was
# accepted by then is known when it comes again.
ANSWER_WITHIN_S = 30.0
# A body of a few megabytes takes a second. Whoever sends one slowly holds up nobody.
READ_WITHIN_S = 10.0
# Of all hooks that are read or worked on at a time: strangers must not fill the memory.
MOST_BYTES_AT_ONCE = 64 * 1024 * 1024
# What a parser of foreign JSON raises.
_MALFORMED = (ValidationError, JSONDecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Hook:
    name: str
    listener: ReceivesHooks
    inbox: Inbox
    largest: int


class HookRoutes:
    """`/hooks/NAME`, for each account whose listener receives hooks."""

    def __init__(self, accounts: Iterable[HeardAccount]) -> None:
        self._hooks = {
            each.entry.name: _Hook(
                each.entry.name, each.listener, each.inbox, each.entry.spec.largest_hook
            )
            for each in accounts
            if isinstance(each.listener, ReceivesHooks)
        }
        self._held = 0  # bytes
        self.routes = [Route("/hooks/{name}", self.receive_hook, methods=list(METHODS))]

    async def receive_hook(self, request: Request) -> Response:
        """Answers as the listener says, and refuses as the module says."""
        hook = self._hooks.get(request.path_params["name"])
        if hook is None:
            raise RequestRefused(404, "hook.not_found", "No channel receives hooks here.")
        held = 0

        def note_bytes(count: int) -> None:
            nonlocal held
            held += count
            self._held += count
            if self._held > MOST_BYTES_AT_ONCE:
                raise _refuse_for_now("Too many hooks at a time.")

        try:
            answer = await _answer(hook, await _read_request(request, hook.largest, note_bytes))
        finally:
            self._held -= held
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return Response(answer.body, answer.status, headers)


async def _read_request(
    request: Request, largest: int, note_bytes: Callable[[int], None]
) -> HookRequest:
    """Raises `RequestRefused`, also if the body takes too long."""
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            body = await read_body(request, largest, note_bytes)
    except TimeoutError:
        text = f"The body did not come within {READ_WITHIN_S:g} s."
        raise RequestRefused(408, "http.timeout", text, headers={"Connection": "close"}) from None
    return HookRequest(
        method=request.method,
        headers=dict(request.headers),
        query=dict(request.query_params),
        body=body,
    )


async def _answer(hook: _Hook, request: HookRequest) -> HookResponse:
    """Raises `RequestRefused`, and `StoreError` and bugs as they are."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await hook.listener.receive_hook(request, hook.inbox)
    except MessageInvalid as error:
        log.info("hook refused", channel=hook.name, reason=error.message)
        raise RequestRefused(400, error.code, error.message) from None
    except _MALFORMED as error:
        log.info("hook refused", channel=hook.name, reason=type(error).__name__)
        raise RequestRefused(400, "http.invalid", "The body is not what is expected.") from None
    except (TimeoutError, ChannelError) as error:
        reason = error.message if isinstance(error, ChannelError) else "it took too long"
        log.warning("hook failed, the platform may come again", channel=hook.name, reason=reason)
        raise _refuse_for_now("This cannot be done just now.") from None


def _refuse_for_now(message: str) -> RequestRefused:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return RequestRefused(503, "http.busy", f"{message} Try again in a moment.", headers=headers)
