"""What goes over the wire to Gemini."""

from __future__ import annotations

import traceback

import pytest

from sigil.errors import ErrorKind
from sigil.messages.conversation import Document, Image, Native
from sigil.providers import ChatRequest, Message, ToolCall, ToolDefinition
from sigil.providers.google import GoogleProvider
from tests.providers.google.calls import MODEL, collect_events
from tests.providers.google.server import KEY, GoogleServer
from tests.providers.loopback import Json

PIXEL = "data:image/png;base64,AAEC/w=="


async def test_the_request_carries_what_was_asked_and_nothing_else(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    schema = {"type": "object", "properties": {"user_id": {"type": "integer"}}}
    tools = (ToolDefinition("kb.add", "Adds", schema), ToolDefinition("noop"))
    for stream in (True, False):
        await collect_events(
            provider,
            stream=stream,
            system_prompt="Be brief.",
            tools=tools,
            max_tokens=5,
            temperature=0.2,
            session="s-1",
            user="u-1",
        )
    streamed_body, whole_body = server.requests
    assert streamed_body == whole_body
    assert streamed_body == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}]},
        "generationConfig": {"temperature": 0.2, "maxOutputTokens": 5},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "kb_add", "description": "Adds", "parameters_json_schema": schema},
                    {"name": "noop", "description": ""},
                ]
            }
        ],
    }
    assert server.paths == [
        "/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        "/v1/models/gemini-3.8-flash:generateContent",
    ]


async def test_pictures_are_sent_inline_or_by_their_address(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    images = (
        Image(PIXEL),
        Image("https://example.org/a.webp", "image/webp"),
        Image("data:image/png;base64,?"),
    )
    await collect_events(provider, Message("user", "What is it?", images=images))
    assert server.requests[0]["contents"][0]["parts"] == [
        {"inlineData": {"mime_type": "image/png", "data": "AAEC_w=="}},
        {"fileData": {"mime_type": "image/webp", "file_uri": "https://example.org/a.webp"}},
        {"text": "[a picture that cannot be read]"},
        {"text": "What is it?"},
    ]


async def test_documents_are_sent_inline_and_what_no_model_of_theirs_sees_is_named(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    document = Document("data:application/pdf;base64,AAEC", "plan.pdf")
    image = Image("data:image/gif;base64,AAEC", "image/gif")
    await collect_events(provider, Message("user", "So?", images=(image,), documents=(document,)))
    assert server.requests[0]["contents"][0]["parts"] == [
        {"inlineData": {"mime_type": "application/pdf", "data": "AAEC"}},
        {"text": "[a picture of the type image/gif, which you cannot see]"},
        {"text": "So?"},
    ]


@pytest.mark.parametrize(
    ("thinking", "model", "sent"),
    [
        ("low", "gemini-3.8-flash", {"thinking_level": "LOW"}),
        (0, "gemini-2.5-flash", {"thinking_budget": 0}),
        (-1, "one-that-nobody-knows", {"thinking_budget": -1}),
        (None, "gemini-3.8-flash", None),
    ],
)
async def test_thinking_is_sent_as_configured(
    server: GoogleServer, thinking: int | str | None, model: str, sent: Json | None
) -> None:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, thinking=thinking)
    await collect_events(provider, model=model)
    await provider.aclose()
    assert server.requests[0]["generationConfig"].get("thinkingConfig") == sent


TOOLS = (ToolDefinition("kb.add"),)


# Where a thought's signature is missing, newer models want to be told that there is none.
UNSIGNED = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


@pytest.mark.parametrize(
    ("model", "signature", "native"),
    [
        ("gemini-3.8-flash", UNSIGNED, None),
        ("models/gemini-4-argon", UNSIGNED, None),
        ("gemini-2.5-flash", None, None),
        ("gemini-3.8-flash", UNSIGNED, Native("anthropic", "gemini-3.8-flash", "[]")),
        ("gemini-3.8-flash", UNSIGNED, Native("google", "another-model", '{"parts":[]}')),
        (
            "gemini-3.8-flash",
            UNSIGNED,
            Native("google", "gemini-3.8-flash", '{"parts":[{"text":"no calls"}]}'),
        ),
        ("gemini-3.8-flash", UNSIGNED, Native("google", "gemini-3.8-flash", '{"parts":5}')),
        ("gemini-3.8-flash", UNSIGNED, Native("google", "gemini-3.8-flash", "{")),
    ],
)
async def test_calls_of_others_go_in_neutral_form(
    server: GoogleServer,
    provider: GoogleProvider,
    model: str,
    signature: str | None,
    native: Native | None,
) -> None:
    calls = (ToolCall("toolu_1", "kb.add", {"a": 1}), ToolCall("toolu_2", "kb.add", {}))
    turns = [
        Message("user", "Add."),
        Message("assistant", tool_calls=calls, native=native),
        Message("tool", "1", tool_call_id="toolu_1"),
        Message("tool", "2", tool_call_id="toolu_2"),
    ]
    await collect_events(provider, *turns, model=model, tools=TOOLS)
    first = {"functionCall": {"id": "toolu_1", "name": "kb_add", "args": {"a": 1}}}
    if signature is not None:
        first["thoughtSignature"] = signature
    assert server.requests[0]["contents"][1]["parts"] == [
        first,
        {"functionCall": {"id": "toolu_2", "name": "kb_add", "args": {}}},
    ]


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
async def test_a_request_that_cannot_be_written_is_not_sent(
    server: GoogleServer, provider: GoogleProvider, request_: ChatRequest, kind: ErrorKind
) -> None:
    (event,) = [event async for event in provider.chat(request_)]
    assert event.error is not None
    assert event.error.kind is kind
    assert "secret" not in "".join(traceback.format_exception(event.error))
    assert event.error.__context__ is None
    assert server.requests == []
