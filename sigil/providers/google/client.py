"""Google's SDK over Sigil's HTTP client, and the responses that the SDK keeps to itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sigil.http.transport import http_client
from sigil.providers.google.errors import request_id

if TYPE_CHECKING:
    from google import genai
    from httpx2 import AsyncClient, Request, Response

_RESPONSES: ContextVar[list[Response] | None] = ContextVar("_RESPONSES", default=None)


def build(
    key: str, base_url: str, api_version: str, read_timeout: float
) -> tuple[genai.Client, AsyncClient]:
    """The SDK's client, and the HTTP client under it, which the SDK leaves open. Both imports
    take a while: call it in a thread. Nothing is taken from the environment."""
    from google.genai import Client, types
    from google.genai.client import DebugConfig

    # A reason that is new to the SDK is passed on; it would warn of every such answer.
    warnings.filterwarnings("ignore", message=".* is not a valid (Finish|Blocked)Reason")
    http = http_client(read_timeout)
    timeout = http.timeout.as_dict()

    async def keep_deadlines(request: Request) -> None:
        # The SDK sends every request with a timeout of its own: none at all.
        request.extensions["timeout"] = timeout

    http.event_hooks = {"request": [keep_deadlines], "response": [_leave]}
    client = Client(
        api_key=key,
        vertexai=False,
        debug_config=DebugConfig(client_mode=None, replay_id=None, replays_directory=None),
        http_options=types.HttpOptions(
            base_url=base_url, api_version=api_version, httpx_async_client=http
        ),
    )
    return client, http


@contextmanager
def leaving(responses: list[Response]) -> Iterator[None]:
    """Requests made within leave their responses there.

    The SDK shows none before its first event, and does not close one that is not read to its
    end: what reads it is part of a reference cycle.
    """
    token = _RESPONSES.set(responses)
    try:
        yield
    finally:
        _RESPONSES.reset(token)


def request_id_of(responses: list[Response]) -> str | None:
    """The request's id, if the headers have one."""
    found = (request_id(response.headers) for response in responses)
    return next((name for name in found if name), None)


def error_in(responses: list[Response]) -> object:
    """The error in a whole answer with a status of success, which the SDK passes over."""
    body = responses[-1].json() if responses and responses[-1].content else None
    return body.get("error") if isinstance(body, dict) else None


async def _leave(response: Response) -> None:
    responses = _RESPONSES.get()
    if responses is not None:
        responses.append(response)
