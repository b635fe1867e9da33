"""Google's SDK over Sigil's HTTP client, and the responses that the SDK keeps to itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sigil.providers.google.errors import read_request_id
from sigil.providers.google.options import GoogleOptions
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.http_client import make_vendor_client

if TYPE_CHECKING:
    from google import genai
    from httpx2 import AsyncClient, Request, Response

_RESPONSES: ContextVar[list[Response] | None] = ContextVar("_RESPONSES", default=None)


def build_client(endpoint: Endpoint, options: GoogleOptions) -> tuple[genai.Client, AsyncClient]:
    """Makes the SDK's client, and the HTTP client under it, which the SDK does not close. Nothing
    is taken from the environment. The imports take a while: call this in a thread."""
    from google.genai import Client, types
    from google.genai.client import DebugConfig

    # A reason that is new to the SDK is passed on. It would warn of every such answer.
    warnings.filterwarnings("ignore", message=".* is not a valid (Finish|Blocked)Reason")
    http = make_vendor_client(options.read_timeout)
    timeout = http.timeout.as_dict()

    async def keep_deadlines(request: Request) -> None:
        # The SDK sends every request with a timeout of its own: none at all.
        request.extensions["timeout"] = timeout

    async def keep_response(response: Response) -> None:
        responses = _RESPONSES.get()
        if responses is not None:
            responses.append(response)

    http.event_hooks = {"request": [keep_deadlines], "response": [keep_response]}
    client = Client(
        api_key=endpoint.key.get_secret_value(),
        vertexai=False,
        debug_config=DebugConfig(client_mode=None, replay_id=None, replays_directory=None),
        http_options=types.HttpOptions(
            base_url=endpoint.base_url,
            api_version=options.api_version,
            httpx_async_client=http,
        ),
    )
    return client, http


@contextmanager
def collect_responses(responses: list[Response]) -> Iterator[None]:
    """Adds the responses to all requests made within to the list.

    The SDK shows no response before its first event. It also does not close a response that is
    not read to its end, since what reads it is part of a reference cycle.
    """
    token = _RESPONSES.set(responses)
    try:
        yield
    finally:
        _RESPONSES.reset(token)


def find_request_id(responses: list[Response]) -> str | None:
    """The request's id, if the headers have one."""
    ids = (read_request_id(response.headers) for response in responses)
    return next((request_id for request_id in ids if request_id), None)


def find_error(responses: list[Response]) -> object:
    """The error object in a whole answer with a status of success, which the SDK ignores."""
    body = responses[-1].json() if responses and responses[-1].content else None
    return body.get("error") if isinstance(body, dict) else None
