"""The class of what OpenAI refuses, and what an error must not show."""

from __future__ import annotations

import json

import pytest

from sigil.errors import ErrorKind
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error
from tests.providers.loopback import Reply, event_stream, status
from tests.providers.openai.chat.replies import refusal, words
from tests.providers.openai.server import REQUEST_ID, OpenAIServer


@pytest.mark.parametrize(
    ("code", "word", "kind"),
    [
        (429, "insufficient_quota", ErrorKind.BILLING),
        (400, "context_length_exceeded", ErrorKind.CONTEXT_TOO_LONG),
        (400, "content_filter", ErrorKind.FILTERED),
        (400, "content_policy_violation", ErrorKind.FILTERED),
        (500, "slow_down", ErrorKind.OVERLOADED),
    ],
)
async def test_a_refused_call_has_its_class(
    server: OpenAIServer,
    provider: OpenAIProvider,
    code: int,
    word: str,
    kind: ErrorKind,
) -> None:
    server.reply = refusal(code, word, "Not now")
    error = await collect_error(provider)
    assert (error.kind, error.status, error.request_id) == (kind, code, REQUEST_ID)
    assert "Not now" in str(error)


async def test_an_error_that_has_an_error_inside_is_read_at_its_own_level(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    fields = {"error": "x", "code": "insufficient_quota", "message": "no credit"}
    server.reply = status(429, {"error": fields})
    error = await collect_error(provider)
    assert error.kind is ErrorKind.BILLING
    assert "no credit" in str(error)


def error_event(error: object) -> Reply:
    return event_stream(*words("Hi there"), f"data: {json.dumps({'error': error})}\n\n")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "Oh no", "type": "server_error", "code": None}, ErrorKind.SERVER),
        ({"message": "Slow", "code": "rate_limit_exceeded"}, ErrorKind.RATE_LIMITED),
        ({"message": "No such model", "code": "model_not_found"}, ErrorKind.UNAVAILABLE),
        ({"message": "Bad key", "code": "invalid_api_key"}, ErrorKind.AUTH),
        ({"message": "Slow", "code": 429}, ErrorKind.RATE_LIMITED),
        ({"message": "Busy", "code": 529}, ErrorKind.OVERLOADED),
        ({"message": "Bad", "type": "invalid_request_error"}, ErrorKind.INVALID_REQUEST),
        ("model crashed", ErrorKind.SERVER),
        ({"message": {"odd": 1}}, ErrorKind.SERVER),
    ],
)
async def test_an_error_under_a_status_of_success_has_its_class(
    server: OpenAIServer, provider: OpenAIProvider, error: object, kind: ErrorKind
) -> None:
    server.reply = error_event(error)
    assert (await collect_error(provider)).kind is kind
    server.reply = status(200, {"error": error})
    assert (await collect_error(provider)).kind is kind
    assert (await collect_error(provider, stream=False)).kind is kind


async def test_an_unreachable_address_is_shown_without_its_password(unused_tcp_port: int) -> None:
    provider = OpenAIProvider(base_url=f"http://user:word@127.0.0.1:{unused_tcp_port}/v1")
    error = await collect_error(provider)
    assert error.kind is ErrorKind.NETWORK
    assert f"127.0.0.1:{unused_tcp_port}" in str(error)
    assert "word" not in str(error)
    await provider.aclose()
