"""What Gemini's failures become, and that none of them shows what it must not."""

from __future__ import annotations

import json
import traceback
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sigil.conversation import ToolCall, ToolDefinition
from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Usage
from sigil.providers.google import GoogleProvider
from tests.providers.google.server import (
    KEY,
    RESPONSE_ID,
    USAGE,
    Exchange,
    GoogleServer,
    Json,
    Reply,
    answer,
    call,
    content,
    cut,
    error,
    google_server,
    refusal,
    silence,
    status,
    streamed,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTED = Usage(input_tokens=13, output_tokens=10, cached_tokens=4, thinking_tokens=3)
MODEL = "gemini-3.8-flash"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served() -> AsyncIterator[GoogleServer]:
    async with google_server() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider(served: GoogleServer) -> AsyncIterator[GoogleProvider]:
    """One for all tests: what a failure leaves behind must not harm the next call."""
    provider = GoogleProvider(api_key=KEY, base_url=served.url, read_timeout=5)
    yield provider
    await provider.aclose()


@pytest.fixture
def server(served: GoogleServer) -> GoogleServer:
    served.requests.clear()
    return served


async def collected(provider: GoogleProvider, *, stream: bool = True) -> list[ChatEvent]:
    request = ChatRequest(MODEL, [Message("user", "Hello")], stream=stream)
    return [event async for event in provider.chat(request)]


async def failure(provider: GoogleProvider, *, stream: bool = True) -> ProviderError:
    events = await collected(provider, stream=stream)
    ends = [event for event in events if event.type in {EventType.DONE, EventType.ERROR}]
    assert ends == events[-1:]
    assert events[-1].error is not None
    return events[-1].error


def detail(kind: str, **fields: object) -> Json:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. "
    "* Quota exceeded for metric: generate_content_free_tier_requests, limit: 20"
)
CREDIT = "Your prepayment credits are depleted. Please go to AI Studio to manage your billing."


@pytest.mark.parametrize(
    ("code", "name", "message", "kind"),
    [
        (429, "RESOURCE_EXHAUSTED", QUOTA, ErrorKind.RATE_LIMITED),
        (429, "RESOURCE_EXHAUSTED", CREDIT, ErrorKind.BILLING),
        (402, "RESOURCE_EXHAUSTED", "No credit.", ErrorKind.BILLING),
        (503, "UNAVAILABLE", "The model is overloaded.", ErrorKind.OVERLOADED),
        (504, "DEADLINE_EXCEEDED", "Too late.", ErrorKind.TIMEOUT),
        (401, "UNAUTHENTICATED", "Who?", ErrorKind.AUTH),
        (403, "PERMISSION_DENIED", "No.", ErrorKind.AUTH),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid one.", ErrorKind.AUTH),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew it.", ErrorKind.AUTH),
        (400, "FAILED_PRECONDITION", "Please enable billing.", ErrorKind.BILLING),
        (400, "FAILED_PRECONDITION", "Files are in use.", ErrorKind.INVALID_REQUEST),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            ErrorKind.UNAVAILABLE,
        ),
        (404, "NOT_FOUND", "models/m is not found.", ErrorKind.UNAVAILABLE),
        (400, "INVALID_ARGUMENT", "contents is not specified", ErrorKind.INVALID_REQUEST),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (5).",
            ErrorKind.CONTEXT_TOO_LONG,
        ),
        (500, "INTERNAL", "Oops.", ErrorKind.SERVER),
    ],
)
async def test_refusals_have_their_class_before_and_in_the_middle_of_an_answer(
    server: GoogleServer,
    provider: GoogleProvider,
    code: int,
    name: str,
    message: str,
    kind: ErrorKind,
) -> None:
    for stream in (True, False):
        server.reply = refusal(code, name, message)
        refused = await failure(provider, stream=stream)
        assert (refused.kind, refused.status, refused.provider) == (kind, code, "google")
        assert message.rstrip(".") in str(refused)
    server.reply = streamed(content("Hi"), error(code, name, message))
    broken = await failure(provider)
    assert (broken.kind, broken.status, broken.request_id) == (kind, code, RESPONSE_ID)
    # A gateway may put an error into a success, which the SDK passes over.
    server.reply = status(200, error(code, name, message))
    assert (await failure(provider, stream=False)).kind is kind


@pytest.mark.parametrize("reason", ["API_KEY_INVALID", "SERVICE_DISABLED"])
async def test_the_reason_in_the_details_counts_most(
    server: GoogleServer, provider: GoogleProvider, reason: str
) -> None:
    server.reply = refusal(400, "INVALID_ARGUMENT", "No.", detail("ErrorInfo", reason=reason))
    refused = await failure(provider)
    assert refused.kind is ErrorKind.AUTH
    assert "providers.google.api_key" in str(refused)


@pytest.mark.parametrize(
    ("delay", "headers", "seconds"),
    [
        ("34.07s", {}, 34.07),
        ("3s", {"retry_after": "7"}, 7),
        (None, {"retry_after": "7"}, 7),
        ("999999999s", {}, 24 * 3600),
        ("soon", {}, None),
        ({"seconds": 3}, {}, None),
    ],
)
async def test_the_vendor_says_when_to_come_back(
    server: GoogleServer,
    provider: GoogleProvider,
    delay: object,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    info = [] if delay is None else [detail("RetryInfo", retryDelay=delay)]
    server.reply = refusal(429, "RESOURCE_EXHAUSTED", QUOTA, *info, **headers)
    assert (await failure(provider)).retry_after == seconds


async def test_the_requests_id_is_kept(server: GoogleServer, provider: GoogleProvider) -> None:
    info = detail("RequestInfo", requestId="req-9")
    server.reply = refusal(500, "INTERNAL", "Oops.", info, x_request_id="of-the-gateway")
    assert (await failure(provider)).request_id == "req-9"
    server.reply = refusal(500, "INTERNAL", "Oops.", x_request_id="of-the-gateway")
    assert (await failure(provider)).request_id == "of-the-gateway"
    server.reply = streamed(content("Hi"), x_request_id="of-the-gateway")
    assert (await failure(provider)).request_id == "of-the-gateway"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "No."},
        {"error": {"code": "x", "status": 5, "message": {}, "details": 5}},
        {"error": {"details": [5, {"reason": []}, {"retryDelay": None}]}},
        [error(500, "INTERNAL")],
        [],
        5,
        None,
        "no JSON",
        "",
    ],
)
async def test_an_error_may_hold_anything(
    server: GoogleServer, provider: GoogleProvider, body: object
) -> None:
    server.reply = status(500, body)
    for stream in (True, False):
        refused = await failure(provider, stream=stream)
        assert (refused.kind, refused.status) == (ErrorKind.SERVER, 500)


# Answers that are none


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([], ErrorKind.SERVER),
        ([content("Hi")], ErrorKind.NETWORK),
        ([content("Hi"), {}], ErrorKind.SERVER),
        ([content(finish="STOP")], ErrorKind.SERVER),
        ([content({"text": "I think", "thought": True}, finish="STOP")], ErrorKind.SERVER),
        ([content("Hi", finish="SAFETY")], ErrorKind.FILTERED),
        ([content(finish="RECITATION")], ErrorKind.FILTERED),
        ([content(finish="PROHIBITED_CONTENT")], ErrorKind.FILTERED),
        ([{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}], ErrorKind.FILTERED),
        ([content(finish="MALFORMED_FUNCTION_CALL")], ErrorKind.SERVER),
        ([content(call(""), finish="STOP")], ErrorKind.SERVER),
        ([content(*[call("add")] * 129, finish="STOP")], ErrorKind.SERVER),
        ([content(call("add", {"x": "x" * 1_000_001}), finish="STOP")], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": '], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": 5}'], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": [{"content": "x"}]}'], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": [{"content": {"parts": [5]}}]}'], ErrorKind.SERVER),
        ([content("Hi"), '{"usageMetadata": {"promptTokenCount": "many"}}'], ErrorKind.SERVER),
        ([content("Hi"), '{"error": {"message": "without a code"}}'], ErrorKind.SERVER),
        ([content("Hi"), '{"error": "No."}'], ErrorKind.SERVER),
    ],
)
async def test_streams_that_are_no_answers(
    server: GoogleServer, provider: GoogleProvider, chunks: list[Json | str], kind: ErrorKind
) -> None:
    server.reply = streamed(*chunks)
    assert (await failure(provider)).kind is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", ErrorKind.SERVER),
        ({}, ErrorKind.SERVER),
        ({"candidates": []}, ErrorKind.SERVER),
        ({"candidates": 5}, ErrorKind.SERVER),
        ('{"candidates": ', ErrorKind.SERVER),
        (content("Hi"), ErrorKind.NETWORK),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, ErrorKind.FILTERED),
    ],
)
async def test_whole_answers_that_are_none(
    server: GoogleServer, provider: GoogleProvider, body: object, kind: ErrorKind
) -> None:
    server.reply = status(200, body)
    assert (await failure(provider, stream=False)).kind is kind


@pytest.mark.parametrize(
    "reply",
    [
        streamed(content("Hi", usageMetadata=USAGE)),
        streamed(content("Hi", usageMetadata=USAGE), end="cut"),
        streamed(content("Hi", usageMetadata=USAGE), error(503, "UNAVAILABLE")),
        answer("Hi", finish="SAFETY"),
        answer(call("")),
    ],
)
async def test_what_a_failed_answer_used_is_said_before_the_error(
    server: GoogleServer, provider: GoogleProvider, reply: Reply
) -> None:
    server.reply = reply
    *_, usage, end = await collected(provider)
    assert (usage.usage, end.type) == (COUNTED, EventType.ERROR)


# The connection


async def test_a_cut_connection_is_the_networks_fault_and_had_reached_the_vendor(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    for reply in (cut, streamed(content("Hi"), end="cut")):
        server.reply = reply
        broken = await failure(provider)
        assert (broken.kind, broken.reached) == (ErrorKind.NETWORK, True)


async def test_a_vendor_that_cannot_be_reached_was_not(server: GoogleServer) -> None:
    provider = GoogleProvider(api_key=KEY, base_url="http://127.0.0.1:9")
    broken = await failure(provider)
    assert (broken.kind, broken.reached) == (ErrorKind.NETWORK, False)
    with pytest.raises(ProviderError) as caught:
        await provider.refresh_models()
    await provider.aclose()
    assert caught.value.kind is ErrorKind.NETWORK
    assert "gemini-3.8-flash" in {info.id for info in await provider.list_models()}


@pytest.mark.parametrize("reply", [silence, streamed(content("Hi"), end="silence")])
async def test_silence_beyond_the_deadline_is_a_timeout(server: GoogleServer, reply: Reply) -> None:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, read_timeout=0.2)
    server.reply = reply
    assert (await failure(provider)).kind is ErrorKind.TIMEOUT
    await provider.aclose()


# What cannot even be sent


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (ChatRequest("a/../../b", [Message("user", "Hello")]), ErrorKind.UNAVAILABLE),
        (ChatRequest("m?key=1", [Message("user", "Hello")]), ErrorKind.UNAVAILABLE),
        (ChatRequest(MODEL, []), ErrorKind.INVALID_REQUEST),
        (ChatRequest(MODEL, [Message("user", "")]), ErrorKind.INVALID_REQUEST),
        (
            ChatRequest(
                MODEL,
                [Message("assistant", "secret", tool_calls=(ToolCall("1", "f", {5: object()}),))],
            ),
            ErrorKind.INVALID_REQUEST,
        ),
        (
            ChatRequest(MODEL, [Message("user", "secret")], max_tokens="secret"),
            ErrorKind.INVALID_REQUEST,
        ),
        (
            ChatRequest(MODEL, [Message("user", "x")], tools=(ToolDefinition("f", ["secret"]),)),
            ErrorKind.INVALID_REQUEST,
        ),
    ],
)
async def test_what_cannot_be_sent_is_not(
    server: GoogleServer, provider: GoogleProvider, request_: ChatRequest, kind: ErrorKind
) -> None:
    (event,) = [event async for event in provider.chat(request_)]
    assert event.error is not None
    assert event.error.kind is kind
    assert "secret" not in "".join(traceback.format_exception(event.error))
    assert event.error.__context__ is None
    assert server.requests == []


async def test_errors_show_no_secrets_and_no_sdk(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    url = f"https://example.org/v1/models?key={KEY}"
    server.reply = refusal(500, "INTERNAL", f"{url} failed for AIzaSyOther00000000000000000 \n .")
    refused = await failure(provider)
    shown = f"{refused!r} {vars(refused)} {''.join(traceback.format_exception(refused))}"
    assert KEY not in shown
    assert "AIzaSyOther" not in shown
    assert "\n" not in str(refused)
    assert (refused.__cause__, refused.__context__) == (None, None)
    assert KEY not in repr(vars(provider))


def _finished() -> Json:
    part = {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
    return {"candidates": [part], "responseId": RESPONSE_ID}


@pytest.mark.parametrize("after", ["cut", "silent", "malformed"])
async def test_what_comes_after_a_complete_answer_takes_nothing_away(
    server: GoogleServer, provider: GoogleProvider, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.head(200, "text/event-stream", {})
        await exchange.send(f"data: {json.dumps(_finished())}\n\n")
        await exchange.send(f"data: {json.dumps({'usageMetadata': USAGE})}\n\n")
        if after == "malformed":
            await exchange.send('data: {"candidates": \n\n')
            await exchange.end()
        elif after == "silent":
            await exchange.closed_by_client.wait()

    monkeypatch.setattr("sigil.providers.google.provider._LINGER", 0.1)
    server.reply = reply
    events = await collected(provider)
    assert [event.type for event in events] == [
        EventType.TEXT_DELTA,
        EventType.USAGE,
        EventType.DONE,
    ]
    assert events[-1].stop_reason == "stop"
