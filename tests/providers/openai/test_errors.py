from __future__ import annotations

import asyncio
import inspect
import json
import logging
from contextlib import aclosing

import pytest

from sigil.errors import ErrorKind
from sigil.providers import EventType, Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.asking import asked, collected, failure
from tests.providers.openai.server import (
    DONE,
    KEY,
    REQUEST_ID,
    USAGE,
    OpenAIServer,
    Reply,
    chunk,
    cut,
    refusal,
    silence,
    status,
    streamed,
    whole,
    words,
)

COUNTED = Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3)

STATUSES = [
    (401, "invalid_api_key", "Bad key", ErrorKind.AUTH),
    (401, None, "Bad key", ErrorKind.AUTH),
    (403, None, "Not in your country", ErrorKind.AUTH),
    (403, None, "Your input was flagged", ErrorKind.FILTERED),
    (402, None, "Pay first", ErrorKind.BILLING),
    (429, "insufficient_quota", "You exceeded your quota", ErrorKind.BILLING),
    (429, "rate_limit_exceeded", "Slow down", ErrorKind.RATE_LIMITED),
    (429, None, "Slow down", ErrorKind.RATE_LIMITED),
    (404, "model_not_found", "No such model", ErrorKind.UNAVAILABLE),
    (400, "context_length_exceeded", "Too long", ErrorKind.CONTEXT_TOO_LONG),
    (400, None, "This model's maximum context length is 8192", ErrorKind.CONTEXT_TOO_LONG),
    (400, "content_filter", "Filtered", ErrorKind.FILTERED),
    (400, None, "temperature is too high", ErrorKind.INVALID_REQUEST),
    (422, None, "messages is missing", ErrorKind.INVALID_REQUEST),
    (408, None, "Too slow", ErrorKind.TIMEOUT),
    (500, None, "Oh no", ErrorKind.SERVER),
    (502, None, "Oh no", ErrorKind.SERVER),
    (503, None, "Busy", ErrorKind.OVERLOADED),
    (529, None, "Busy", ErrorKind.OVERLOADED),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("code", "word", "message", "kind"), STATUSES)
async def test_a_refused_call_has_its_class(
    server: OpenAIServer,
    provider: OpenAIProvider,
    code: int,
    word: str | None,
    message: str,
    kind: ErrorKind,
    stream: bool,
) -> None:
    server.reply = refusal(code, word, message)
    error = await failure(provider, stream=stream)
    assert (error.kind, error.status, error.request_id) == (kind, code, REQUEST_ID)
    assert error.provider == "openai"
    assert message in str(error)
    assert len(server.requests) == 1, "the SDK must not retry by itself"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry_after": "999999999"}, 86_400.0),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_is_asked_for_is_kept(
    server: OpenAIServer,
    provider: OpenAIProvider,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    server.reply = refusal(429, None, "Slow down", **headers)
    assert (await failure(provider)).retry_after == seconds


def in_stream(error: object) -> Reply:
    return streamed(*words("Hi there"), f"data: {json.dumps({'error': error})}\n\n")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "Oh no", "type": "server_error", "code": None}, ErrorKind.SERVER),
        ({"message": "Slow", "code": "rate_limit_exceeded"}, ErrorKind.RATE_LIMITED),
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
    server.reply = in_stream(error)
    assert (await failure(provider)).kind is kind
    server.reply = status(200, {"error": error})
    assert (await failure(provider)).kind is kind
    assert (await failure(provider, stream=False)).kind is kind


HI = list(words("Hi there"))
BROKEN = {
    "ended early": (streamed(*HI), ErrorKind.NETWORK),
    "ended early with the marker of the transport": (streamed(*HI, DONE), ErrorKind.NETWORK),
    "ended before anything": (streamed(), ErrorKind.SERVER),
    "cut before the answer": (cut, ErrorKind.NETWORK),
    "cut before the first token": (streamed(end="cut"), ErrorKind.NETWORK),
    "cut in mid-stream": (streamed(*HI, end="cut"), ErrorKind.NETWORK),
    "malformed event": (streamed(*HI, "data: {oops\n\n"), ErrorKind.SERVER),
    "an event that is no object": (streamed(*HI, "data: 7\n\n"), ErrorKind.SERVER),
    "nothing but noise": (streamed("oops\n\n"), ErrorKind.SERVER),
    "odd choices": (streamed('data: {"choices": [{}]}\n\n'), ErrorKind.NETWORK),
    "odd content": (
        streamed('data: {"choices": [{"delta": {"content": 7}}]}\n\n'),
        ErrorKind.SERVER,
    ),
    "not a stream": (status(200, {"choices": []}), ErrorKind.SERVER),
    "malformed and not a stream": (status(200, "{oops"), ErrorKind.SERVER),
    "too big and not a stream": (status(200, "[" * 100_000), ErrorKind.SERVER),
    "no content": (streamed(chunk({}, "stop"), chunk(usage=USAGE), DONE), ErrorKind.SERVER),
    "only spaces": (streamed(chunk({"content": " \n"}), chunk({}, "stop")), ErrorKind.SERVER),
    "filtered": (streamed(*HI, chunk({}, "content_filter"), DONE), ErrorKind.FILTERED),
    "moved elsewhere": (status(307, "", location="http://127.0.0.1:1/"), ErrorKind.SERVER),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_stream_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    events = await collected(provider)
    assert [event.type for event in events].count(EventType.ERROR) == 1
    assert events[-1].error is not None
    assert events[-1].error.kind is kind


BROKEN_WHOLE = {
    "malformed": (status(200, "{oops"), ErrorKind.SERVER),
    "no choices": (status(200, {"choices": []}), ErrorKind.SERVER),
    "not an object": (status(200, "7"), ErrorKind.SERVER),
    "no message": (status(200, {"choices": [{"finish_reason": "stop"}]}), ErrorKind.SERVER),
    "no content": (whole({}), ErrorKind.SERVER),
    "no end": (whole({"content": "Hi"}, None), ErrorKind.NETWORK),
    "filtered": (whole({"content": "Hi"}, "content_filter"), ErrorKind.FILTERED),
    "cut": (cut, ErrorKind.NETWORK),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN_WHOLE.values(), ids=BROKEN_WHOLE)
async def test_a_broken_whole_answer_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await failure(provider, stream=False)).kind is kind


async def test_an_empty_answer_is_still_charged(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(chunk({}, "stop"), chunk(usage=USAGE), DONE)
    events = await collected(provider)
    assert [event.type for event in events] == [EventType.USAGE, EventType.ERROR]
    assert events[0].usage == COUNTED


@pytest.mark.parametrize("reply", [silence, streamed(*HI, end="silence")])
async def test_silence_is_a_timeout(server: OpenAIServer, reply: Reply) -> None:
    server.reply = reply
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, read_timeout=0.05)
    assert (await failure(provider)).kind is ErrorKind.TIMEOUT
    await asyncio.wait_for(server.closed_by_client.wait(), 5)
    await provider.aclose()


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    provider = OpenAIProvider(base_url=f"http://user:word@127.0.0.1:{unused_tcp_port}/v1")
    error = await failure(provider)
    assert error.kind is ErrorKind.NETWORK
    assert f"127.0.0.1:{unused_tcp_port}" in str(error)
    assert "word" not in str(error)
    await provider.aclose()


async def test_the_key_is_shown_nowhere(
    server: OpenAIServer, provider: OpenAIProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    other = "sk-proj-another_Key-1234567890"
    server.reply = refusal(
        401, None, f"Incorrect key: {KEY}, Bearer {KEY} or {other}.\n" + "x" * 9999
    )
    error = await failure(provider)
    shown = (
        f"{error} {error!r} {error.__cause__!r} {error.__context__!r} {provider!r} {vars(provider)}"
    )
    for secret in (KEY, other):
        assert secret not in shown
        assert secret not in caplog.text
    assert len(str(error)) < 700
    assert "providers.openai.api_key" in str(error)


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


async def test_giving_up_before_the_answer_starts_closes_the_connection(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = silence
    task = asyncio.create_task(collected(provider))
    async with asyncio.timeout(5):
        while not server.requests:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.closed_by_client.wait(), 5)


def test_chat_is_a_generator_so_that_it_can_be_closed() -> None:
    assert inspect.isasyncgenfunction(OpenAIProvider.chat)
