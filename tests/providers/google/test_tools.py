"""Tool calls of Gemini: there, back, and into the history of another model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sigil.conversation import Native, ToolCall
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, ToolDefinition
from sigil.providers.google import GoogleProvider
from tests.providers.google.server import KEY, GoogleServer, answer, call, google_server

SIGNATURE = "__79AAEC"


@pytest.fixture
async def server() -> AsyncIterator[GoogleServer]:
    async with google_server() as served:
        yield served


@pytest.fixture
async def provider(server: GoogleServer) -> AsyncIterator[GoogleProvider]:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, read_timeout=5)
    yield provider
    await provider.aclose()


async def collected(
    provider: GoogleProvider, *messages: Message, **fields: object
) -> list[ChatEvent]:
    fields.setdefault("model", "gemini-3.8-flash")
    request = ChatRequest(messages=messages or [Message("user", "Hello")], **fields)
    return [event async for event in provider.chat(request)]


def calls_of(events: list[ChatEvent]) -> tuple[ToolCall, ...]:
    return tuple(event.tool_call for event in events if event.tool_call is not None)


def history(events: list[ChatEvent], native: Native | None) -> list[Message]:
    calls = calls_of(events)
    return [
        Message("user", "Add."),
        Message("assistant", "I add.", tool_calls=calls, native=native),
        *(Message("tool", f"sum {n}", tool_call_id=one.id) for n, one in enumerate(calls)),
        Message("assistant", ""),
        Message("user", "Thanks"),
    ]


ANSWERED = (
    {"text": "I think", "thought": True},
    "I ",
    "add.",
    call("kb_add", {"user_id": 1}, thoughtSignature=SIGNATURE),
    call("kb_add", {"user_id": 2}),
    {"text": "", "thoughtSignature": "AAAA"},
)
TOOLS = (ToolDefinition("kb.add"),)


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_come_out_in_neutral_form_and_go_back_in_the_vendors_own(
    server: GoogleServer, provider: GoogleProvider, stream: bool
) -> None:
    server.reply = answer(*ANSWERED)
    events = await collected(provider, tools=TOOLS, stream=stream)
    assert "".join(event.text for event in events) == "I add."
    first, second = calls_of(events)
    assert (first.name, first.arguments, second.arguments) == (
        "kb.add",
        {"user_id": 1},
        {"user_id": 2},
    )
    assert first.id != second.id
    assert (events[-1].type, events[-1].stop_reason) == (EventType.DONE, "tool_calls")
    assert events[-1].native is not None
    server.reply = answer()
    await collected(provider, *history(events, events[-1].native), tools=TOOLS)
    _, replayed, results, thanks = server.requests[-1]["contents"]
    assert replayed == {
        "role": "model",
        "parts": [
            {"text": "I think", "thought": True},
            {"text": "I add."},
            {
                "functionCall": {"name": "kb_add", "args": {"user_id": 1}},
                "thoughtSignature": SIGNATURE,
            },
            {"functionCall": {"name": "kb_add", "args": {"user_id": 2}}},
            {"text": "", "thoughtSignature": "AAAA"},
        ],
    }
    assert results == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "kb_add", "response": {"output": "sum 0"}}},
            {"functionResponse": {"name": "kb_add", "response": {"output": "sum 1"}}},
        ],
    }
    assert thanks == {"role": "user", "parts": [{"text": "Thanks"}]}


async def test_the_vendors_own_ids_are_kept_and_sent_back(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = answer(call("kb_add", id="fc-1"))
    events = await collected(provider, tools=TOOLS)
    assert [one.id for one in calls_of(events)] == ["fc-1"]
    server.reply = answer()
    await collected(provider, *history(events, events[-1].native))
    _, replayed, results, _ = server.requests[-1]["contents"]
    assert replayed["parts"][0]["functionCall"]["id"] == "fc-1"
    assert results["parts"][0]["functionResponse"]["id"] == "fc-1"


@pytest.mark.parametrize(
    ("model", "signature"),
    [
        ("gemini-3.8-flash", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="),
        ("models/gemini-4-argon", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="),
        ("gemini-2.5-flash", None),
    ],
)
@pytest.mark.parametrize(
    "native",
    [
        None,
        Native("anthropic", "gemini-3.8-flash", "[]"),
        Native("google", "another-model", '{"parts":[]}'),
        Native("google", "gemini-3.8-flash", '{"parts":[{"text":"no calls"}]}'),
        Native("google", "gemini-3.8-flash", '{"parts":5}'),
        Native("google", "gemini-3.8-flash", "{"),
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
    await collected(provider, *turns, model=model, tools=TOOLS)
    first = {"functionCall": {"id": "toolu_1", "name": "kb_add", "args": {"a": 1}}}
    if signature is not None:
        first["thoughtSignature"] = signature
    assert server.requests[0]["contents"][1]["parts"] == [
        first,
        {"functionCall": {"id": "toolu_2", "name": "kb_add", "args": {}}},
    ]


async def test_an_answer_too_long_to_keep_is_kept_in_neutral_form_only(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = answer("x" * 300_000, call("add"))
    done = (await collected(provider))[-1]
    assert (done.stop_reason, done.native) == ("tool_calls", None)
