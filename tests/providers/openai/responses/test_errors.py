"""Failures of the responses API."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind
from sigil.providers import Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error, collect_events
from tests.providers.loopback import Reply, event_stream, status
from tests.providers.openai.responses.replies import (
    CALL,
    CREATED,
    HI,
    answer_pair,
    done,
    event,
    last,
    message,
    response,
    text_delta,
)
from tests.providers.openai.server import REQUEST_ID, OpenAIServer

COUNTED = Usage(11, 7, cached_tokens=4, thinking_tokens=3, cache_write_tokens=2)
ERRORS = [
    ({"code": "server_error", "message": "Oh no"}, ErrorKind.SERVER),
    ({"code": "rate_limit_exceeded", "message": "Slow"}, ErrorKind.RATE_LIMITED),
    ({"code": "insufficient_quota", "message": "Pay"}, ErrorKind.BILLING),
    ({"code": "context_length_exceeded", "message": "Long"}, ErrorKind.CONTEXT_TOO_LONG),
    ({"code": "invalid_prompt", "message": "Your prompt was flagged"}, ErrorKind.FILTERED),
    ({"code": "bio_policy", "message": "No"}, ErrorKind.FILTERED),
    ({"code": "image_too_large", "message": "Big"}, ErrorKind.INVALID_REQUEST),
    ({"code": None, "message": None}, ErrorKind.SERVER),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS)
async def test_a_failure_under_a_status_of_success_has_its_class(
    server: OpenAIServer, provider: OpenAIProvider, error: dict[str, str], kind: ErrorKind
) -> None:
    for events in ([event("error", **error)], [last(state="failed", error=error)]):
        server.reply = event_stream(*HI, *events)
        found = await collect_error(provider)
        assert (found.kind, found.request_id) == (kind, REQUEST_ID)
    server.reply = status(200, response(state="failed", error=error))
    assert (await collect_error(provider, stream=False)).kind is kind


async def test_a_failed_answer_is_still_charged(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    error = {"code": "server_error", "message": "Oh no"}
    server.reply = event_stream(*HI, last(state="failed", error=error))
    assert [event.usage for event in await collect_events(provider) if event.usage] == [COUNTED]


DELTA = "response.function_call_arguments.delta"
BROKEN = {
    "ended early with the marker of the transport": (
        event_stream(*HI, "data: [DONE]\n\n"),
        ErrorKind.NETWORK,
    ),
    "ended early with a call": (event_stream(CREATED, done(CALL)), ErrorKind.NETWORK),
    "an end without its answer": (event_stream(*HI, event("response.completed")), ErrorKind.SERVER),
    "odd text": (event_stream(event("response.output_text.delta", delta=7)), ErrorKind.SERVER),
    "not a stream": (status(200, response(message("Hi"))), ErrorKind.SERVER),
    "only spaces": (event_stream(CREATED, text_delta(" \n"), last()), ErrorKind.SERVER),
    "malformed arguments": (answer_pair({**CALL, "arguments": "{"})[0], ErrorKind.SERVER),
    "odd arguments": (answer_pair({**CALL, "arguments": {"a": 1}})[0], ErrorKind.SERVER),
    "arguments nested too deep": (
        answer_pair({**CALL, "arguments": '{"a":' + "[" * 100_000})[0],
        ErrorKind.SERVER,
    ),
    "a call without a name": (answer_pair({**CALL, "name": ""})[0], ErrorKind.SERVER),
    "arguments too long": (
        answer_pair({**CALL, "arguments": '{"a": "' + "x" * 1_000_000 + '"}'})[0],
        ErrorKind.SERVER,
    ),
    "endless arguments": (
        event_stream(*[event(DELTA, delta="x" * 1_000_000)] * 9, end="silence"),
        ErrorKind.SERVER,
    ),
    "too many calls": (answer_pair(*[CALL] * 129)[0], ErrorKind.SERVER),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_stream_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await collect_error(provider)).kind is kind


BROKEN_WHOLE = {
    "no output": (status(200, {"status": "completed"}), ErrorKind.SERVER),
    "odd output": (status(200, {"status": "completed", "output": [7]}), ErrorKind.SERVER),
    "odd content": (
        status(200, response({"type": "message", "content": [{"text": 7}]})),
        ErrorKind.SERVER,
    ),
    "no end": (status(200, response(message("Hi"), state="in_progress")), ErrorKind.NETWORK),
    "an error": (status(200, {"error": {"code": "server_error"}}), ErrorKind.SERVER),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN_WHOLE.values(), ids=BROKEN_WHOLE)
async def test_a_broken_whole_answer_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await collect_error(provider, stream=False)).kind is kind
