from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from sigil.errors import ErrorKind
from sigil.providers import EventType, Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.asking import asked, collected, failure
from tests.providers.openai.responses_replies import (
    CALL,
    CREATED,
    HI,
    answered,
    done,
    event,
    last,
    message,
    response,
    text_delta,
)
from tests.providers.openai.server import (
    KEY,
    REQUEST_ID,
    OpenAIServer,
    Reply,
    cut,
    refusal,
    silence,
    status,
    streamed,
)

COUNTED = Usage(11, 7, cached_tokens=4, thinking_tokens=3, cache_write_tokens=2)
STREAM_AND_WHOLE = pytest.mark.parametrize("stream", [True, False])


@pytest.fixture
def provider(responses: OpenAIProvider) -> OpenAIProvider:
    return responses


@STREAM_AND_WHOLE
async def test_a_filtered_answer_is_none(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    details = {"reason": "content_filter"}
    replies = answered(text="Hi", state="incomplete", incomplete_details=details)
    server.reply = replies[not stream]
    assert (await failure(provider, stream=stream)).kind is ErrorKind.FILTERED


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
        server.reply = streamed(*HI, *events)
        found = await failure(provider)
        assert (found.kind, found.request_id) == (kind, REQUEST_ID)
    server.reply = status(200, response(state="failed", error=error))
    assert (await failure(provider, stream=False)).kind is kind


async def test_a_failed_answer_is_still_charged(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    error = {"code": "server_error", "message": "Oh no"}
    server.reply = streamed(*HI, last(state="failed", error=error))
    assert [event.usage for event in await collected(provider) if event.usage] == [COUNTED]


@STREAM_AND_WHOLE
@pytest.mark.parametrize(
    ("code", "word", "kind"),
    [
        (401, "invalid_api_key", ErrorKind.AUTH),
        (429, "insufficient_quota", ErrorKind.BILLING),
        (429, "rate_limit_exceeded", ErrorKind.RATE_LIMITED),
        (400, None, ErrorKind.INVALID_REQUEST),
        (404, None, ErrorKind.UNAVAILABLE),
        (503, "server_error", ErrorKind.OVERLOADED),
    ],
)
async def test_a_refused_call_has_its_class(
    server: OpenAIServer,
    provider: OpenAIProvider,
    code: int,
    word: str | None,
    kind: ErrorKind,
    stream: bool,
) -> None:
    server.reply = refusal(code, word, "Not now", retry_after="7")
    error = await failure(provider, stream=stream)
    assert (error.kind, error.status, error.request_id) == (kind, code, REQUEST_ID)
    assert error.retry_after == 7
    assert len(server.requests) == 1, "the SDK must not retry by itself"


DELTA = "response.function_call_arguments.delta"
BROKEN = {
    "ended early": (streamed(*HI), ErrorKind.NETWORK),
    "ended early with the marker of the transport": (
        streamed(*HI, "data: [DONE]\n\n"),
        ErrorKind.NETWORK,
    ),
    "ended early with a call": (streamed(CREATED, done(CALL)), ErrorKind.NETWORK),
    "ended before anything": (streamed(), ErrorKind.SERVER),
    "cut before the answer": (cut, ErrorKind.NETWORK),
    "cut in mid-stream": (streamed(*HI, end="cut"), ErrorKind.NETWORK),
    "malformed event": (streamed(*HI, "data: {oops\n\n"), ErrorKind.SERVER),
    "an event that is no object": (streamed(*HI, "data: 7\n\n"), ErrorKind.SERVER),
    "an end without its answer": (streamed(*HI, event("response.completed")), ErrorKind.SERVER),
    "odd text": (streamed(event("response.output_text.delta", delta=7)), ErrorKind.SERVER),
    "not a stream": (status(200, response(message("Hi"))), ErrorKind.SERVER),
    "no content": (streamed(CREATED, last()), ErrorKind.SERVER),
    "only spaces": (streamed(CREATED, text_delta(" \n"), last()), ErrorKind.SERVER),
    "malformed arguments": (answered({**CALL, "arguments": "{"})[0], ErrorKind.SERVER),
    "odd arguments": (answered({**CALL, "arguments": {"a": 1}})[0], ErrorKind.SERVER),
    "arguments nested too deep": (
        answered({**CALL, "arguments": '{"a":' + "[" * 100_000})[0],
        ErrorKind.SERVER,
    ),
    "a call without a name": (answered({**CALL, "name": ""})[0], ErrorKind.SERVER),
    "arguments too long": (
        answered({**CALL, "arguments": '{"a": "' + "x" * 1_000_000 + '"}'})[0],
        ErrorKind.SERVER,
    ),
    "endless arguments": (
        streamed(*[event(DELTA, delta="x" * 1_000_000)] * 9, end="silence"),
        ErrorKind.SERVER,
    ),
    "too many calls": (answered(*[CALL] * 129)[0], ErrorKind.SERVER),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_stream_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await failure(provider)).kind is kind


BROKEN_WHOLE = {
    "malformed": (status(200, "{oops"), ErrorKind.SERVER),
    "not an object": (status(200, "7"), ErrorKind.SERVER),
    "no output": (status(200, {"status": "completed"}), ErrorKind.SERVER),
    "odd output": (status(200, {"status": "completed", "output": [7]}), ErrorKind.SERVER),
    "no content": (status(200, response()), ErrorKind.SERVER),
    "odd content": (
        status(200, response({"type": "message", "content": [{"text": 7}]})),
        ErrorKind.SERVER,
    ),
    "no end": (status(200, response(message("Hi"), state="in_progress")), ErrorKind.NETWORK),
    "an error": (status(200, {"error": {"code": "server_error"}}), ErrorKind.SERVER),
    "cut": (cut, ErrorKind.NETWORK),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN_WHOLE.values(), ids=BROKEN_WHOLE)
async def test_a_broken_whole_answer_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await failure(provider, stream=False)).kind is kind


@pytest.mark.parametrize("end", ["cut", "silence"])
async def test_what_the_connection_does_after_the_end_changes_nothing(
    server: OpenAIServer, provider: OpenAIProvider, end: str
) -> None:
    server.reply = streamed(*HI, last(message("Hi there")), end=end)
    assert (await collected(provider))[-1].type is EventType.DONE


@pytest.mark.parametrize("reply", [silence, streamed(*HI, end="silence")])
async def test_silence_is_a_timeout(server: OpenAIServer, reply: Reply) -> None:
    server.reply = reply
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, read_timeout=0.05, api="responses")
    assert (await failure(provider)).kind is ErrorKind.TIMEOUT
    await asyncio.wait_for(server.closed_by_client.wait(), 5)
    await provider.aclose()


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_giving_up_closes_the_connection(
    server: OpenAIServer, provider: OpenAIProvider, how: str
) -> None:
    server.reply = streamed(*HI, end="silence")
    started = asyncio.Event()

    async def read() -> None:
        async with aclosing(provider.chat(asked())) as events:
            async for _ in events:
                started.set()
                if how == "close":
                    return

    task = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 5)
    if how == "cancel":
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() is (how == "cancel")
    await asyncio.wait_for(server.closed_by_client.wait(), 5)
