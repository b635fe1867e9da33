"""What the responses API answers."""

from __future__ import annotations

import json

import pytest

from sigil.providers import EventType, Message, ToolDefinition, Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_events, join_text
from tests.providers.loopback import event_stream, status
from tests.providers.openai.responses.replies import (
    CALL,
    CREATED,
    HI,
    REASONING,
    answer_pair,
    event,
    last,
    message,
    response,
)
from tests.providers.openai.server import KEY, OpenAIServer

COUNTED = Usage(11, 7, cached_tokens=4, thinking_tokens=3, cache_write_tokens=2)
ASKED = Message("user", "Hello")
ADD = ToolDefinition("add", "Adds", {"type": "object", "properties": {"a": {}}})
STREAM_AND_WHOLE = pytest.mark.parametrize("stream", [True, False])


@STREAM_AND_WHOLE
async def test_an_answer_is_text_usage_and_an_end(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    server.reply = answer_pair(text="Hi there")[not stream]
    events = await collect_events(provider, stream=stream)
    assert join_text(events) == "Hi there"
    assert [event.usage for event in events if event.usage] == [COUNTED]
    assert events[-1].type is EventType.DONE
    assert (events[-1].stop_reason, events[-1].native) == ("stop", None)


@STREAM_AND_WHOLE
async def test_calls_keep_their_form_and_go_back_in_it(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    called = {**CALL, "call_id": "c" * 60}
    server.reply = answer_pair(REASONING, message("I look."), called)[not stream]
    first = await collect_events(provider, stream=stream, tools=(ADD,))
    (call,) = [event.tool_call for event in first if event.tool_call]
    assert (call.id, call.name, call.arguments) == ("c" * 60, "add", {"a": 1})
    assert join_text(first) == "I look."
    end = first[-1]
    assert end.stop_reason == "tool_calls"
    assert end.native is not None
    assert (end.native.api, end.native.model) == ("openai.responses", "m")

    answer_message = Message("assistant", "I look.", tool_calls=(call,), native=end.native)
    result = Message("tool", "2", tool_call_id=call.id)
    await collect_events(provider, messages=[ASKED, answer_message, result])
    assert server.requests[-1]["input"] == [
        {"role": "user", "content": "Hello"},
        REASONING,
        message("I look."),
        called,
        {"type": "function_call_output", "call_id": "c" * 60, "output": "2"},
    ]
    await collect_events(provider, model="other", messages=[ASKED, answer_message, result])
    assert "gAAAA=" not in str(server.requests[-1])


async def test_thoughts_that_the_vendor_would_have_to_look_up_are_left_out(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    bare = {key: value for key, value in REASONING.items() if key != "encrypted_content"}
    server.reply = answer_pair(bare, CALL)[0]
    native = (await collect_events(provider))[-1].native
    assert native is not None
    assert json.loads(native.content) == [{k: v for k, v in CALL.items() if k != "id"}]


async def test_what_the_vendor_keeps_may_be_looked_up(server: OpenAIServer) -> None:
    bare = {key: value for key, value in REASONING.items() if key != "encrypted_content"}
    server.reply = answer_pair(bare, CALL)[0]
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, api="responses", store=True)
    native = (await collect_events(provider))[-1].native
    await provider.aclose()
    assert native is not None
    assert json.loads(native.content) == [bare, CALL]


async def test_a_call_without_an_id_gets_one(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = answer_pair({**CALL, "call_id": None})[0]
    events = await collect_events(provider)
    call, native = events[0].tool_call, events[-1].native
    assert call is not None
    assert native is not None
    assert json.loads(native.content)[0]["call_id"] == call.id != ""


async def test_a_server_that_streams_no_pieces_is_understood(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(CREATED, last(message("Hi there"), CALL))
    events = await collect_events(provider)
    assert [event.type for event in events] == [
        EventType.TEXT_DELTA,
        EventType.TOOL_CALL,
        EventType.USAGE,
        EventType.DONE,
    ]
    assert join_text(events) == "Hi there"


async def test_a_refusal_is_text(server: OpenAIServer, provider: OpenAIProvider) -> None:
    refused = event("response.refusal.delta", delta="I would rather not.")
    server.reply = event_stream(CREATED, refused, last())
    assert join_text(await collect_events(provider)) == "I would rather not."
    whole = message() | {"content": [{"type": "refusal", "refusal": "No."}]}
    server.reply = status(200, response(whole))
    assert join_text(await collect_events(provider, stream=False)) == "No."


@STREAM_AND_WHOLE
@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        (None, "length"),
        ({"reason": "max_messages"}, "max_messages"),
    ],
)
async def test_an_incomplete_answer_says_why(
    server: OpenAIServer,
    provider: OpenAIProvider,
    details: dict[str, str] | None,
    reason: str,
    stream: bool,
) -> None:
    replies = answer_pair(text="Hi", state="incomplete", incomplete_details=details)
    server.reply = replies[not stream]
    assert (await collect_events(provider, stream=stream))[-1].stop_reason == reason


@STREAM_AND_WHOLE
async def test_an_answer_all_spent_on_thinking_is_cut_off_but_does_not_fail(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    server.reply = answer_pair(REASONING, state="incomplete")[not stream]
    events = await collect_events(provider, stream=stream)
    assert [event.type for event in events] == [EventType.USAGE, EventType.DONE]
    assert events[-1].stop_reason == "length"


async def test_a_call_that_was_cut_off_is_left_out(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    half = {**CALL, "call_id": "call_2", "arguments": '{"a": ', "status": "incomplete"}
    server.reply = answer_pair(CALL, half, state="incomplete")[0]
    events = await collect_events(provider)
    assert [event.tool_call.id for event in events if event.tool_call] == ["call_1"]
    assert events[-1].stop_reason == "length"
    assert events[-1].native is not None
    assert json.loads(events[-1].native.content) == [CALL]


@pytest.mark.parametrize("end", ["cut", "silence"])
async def test_what_the_connection_does_after_the_end_changes_nothing(
    server: OpenAIServer, provider: OpenAIProvider, end: str
) -> None:
    server.reply = event_stream(*HI, last(message("Hi there")), end=end)
    assert (await collect_events(provider))[-1].type is EventType.DONE
