"""What comes back from Anthropic, and how it is sent again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sigil.errors import ErrorKind
from sigil.messages.conversation import Native, Usage
from sigil.providers import ChatEvent, EventType, Message, ToolCall, ToolDefinition
from sigil.providers.anthropic import AnthropicProvider
from tests.providers.anthropic.calls import collect_error, collect_events
from tests.providers.anthropic.replies import (
    ANSWER,
    delta,
    event,
    refusal,
    start,
    stop,
    text,
    text_block,
    tool_use,
    whole,
)
from tests.providers.anthropic.server import REQUEST_ID, AnthropicServer
from tests.providers.loopback import event_stream, status

COUNTED = Usage(
    input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3, cache_write_tokens=2
)
TOOL = ToolDefinition("get", "Gets it.", {"type": "object", "properties": {"id": {}}})
SIGNED = {"type": "thinking", "thinking": "Hm, well.", "signature": "sig=="}


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_text_then_usage_then_the_end(
    server: AnthropicServer, provider: AnthropicProvider, stream: bool
) -> None:
    server.replies = [ANSWER if stream else whole(text_block("Hi there"))]
    events = await collect_events(provider, stream=stream)
    assert "".join(e.text for e in events) == "Hi there"
    assert events[-2:] == [
        ChatEvent(EventType.USAGE, usage=COUNTED),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_and_thoughts_come_back_as_they_were_given(
    server: AnthropicServer, provider: AnthropicProvider, stream: bool
) -> None:
    hidden = {"type": "redacted_thinking", "data": "EuYB"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "a_get", "input": {"id": 7}}
    content = [SIGNED, hidden, text_block("Let me see."), use]
    if stream:
        thinking = {"type": "thinking", "thinking": "", "signature": ""}
        events = [
            start(),
            event("content_block_start", index=0, content_block=thinking),
            delta(0, "thinking_delta", "thinking", "Hm, "),
            delta(0, "thinking_delta", "thinking", "well."),
            delta(0, "signature_delta", "signature", "sig=="),
            event("content_block_stop", index=0),
            event("content_block_start", index=1, content_block=hidden),
            text("Let me", " see.", index=2),
            tool_use(3, '{"id"', ": 7}", name="a_get"),
            event("of_a_later_version", index=9),
            delta(2, "of_a_later_version", "x", 1),
        ]
        server.replies = [event_stream(*events, stop("tool_use")), ANSWER]
    else:
        server.replies = [whole(*content, reason="tool_use"), ANSWER]
    tools = (replace(TOOL, name="a.get"),)
    events = await collect_events(provider, tools=tools, stream=stream)
    call = ToolCall("toolu_1", "a.get", {"id": 7})
    assert [e.tool_call for e in events if e.tool_call] == [call]
    done = events[-1]
    assert done.stop_reason == "tool_calls"
    assert done.native is not None
    assert (done.native.api, done.native.model) == ("anthropic", "claude-opus-5-5")
    assert json.loads(done.native.content) == content

    answered = Message("assistant", "Let me see.", tool_calls=(call,), native=done.native)
    turn = (Message("user", "Hello"), answered, Message("tool", "7!", tool_call_id="toolu_1"))
    await collect_events(provider, *turn, tools=tools)
    assert server.requests[-1]["messages"][1] == {"role": "assistant", "content": content}

    later = (*turn, Message("assistant", "It is 7."), Message("user", "Thanks"))
    await collect_events(provider, *later, tools=tools)
    assert server.requests[-1]["messages"][1]["content"] == content[2:], "thoughts of a past turn"

    await collect_events(provider, *turn, tools=tools, model="claude-sonnet-5-5")
    assert server.requests[-1]["messages"][1]["content"] == content[2:], "another model's"


async def test_thoughts_that_are_refused_are_left_out(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {}}
    native = Native("anthropic", "claude-opus-5-5", json.dumps([SIGNED, use]))
    calls = (ToolCall("toolu_1", "get"),)
    turn = (
        Message("user", "Hello"),
        Message("assistant", tool_calls=calls, native=native),
        Message("tool", "7", tool_call_id="toolu_1"),
    )
    wrong = refusal(400, "invalid_request_error", "messages.1: Invalid `signature` in `thinking`")
    server.replies = [wrong, ANSWER]
    assert (await collect_events(provider, *turn, tools=(TOOL,)))[-1].type is EventType.DONE
    kinds = [[b["type"] for b in r["messages"][1]["content"]] for r in server.requests]
    assert kinds == [["thinking", "tool_use"], ["tool_use"]]

    server.replies = [wrong]
    assert (await collect_error(provider)).kind is ErrorKind.INVALID_REQUEST
    assert len(server.requests) == 3, "without thoughts there is nothing to leave out"


@pytest.mark.parametrize(
    ("reason", "meant"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "stop"),
        ("pause_turn", "pause_turn"),
        (None, "stop"),
    ],
)
async def test_stop_reasons_are_mapped(
    server: AnthropicServer, provider: AnthropicProvider, reason: str | None, meant: str
) -> None:
    server.replies = [event_stream(start(), text("Hi"), stop(reason))]
    assert (await collect_events(provider))[-1].stop_reason == meant


async def test_a_call_that_was_cut_off_at_the_bound_is_left_out(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [event_stream(start(), text("Well"), tool_use(1, '{"id'), stop("max_tokens"))]
    events = await collect_events(provider, tools=(TOOL,))
    assert [e.type for e in events] == [EventType.TEXT_DELTA, EventType.USAGE, EventType.DONE]
    assert events[-1].stop_reason == "length"


async def test_a_full_context_without_an_answer_is_a_context_that_is_too_long(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [event_stream(start(), stop("model_context_window_exceeded"))]
    assert (await collect_error(provider)).kind is ErrorKind.CONTEXT_TOO_LONG


@pytest.mark.parametrize(
    "events",
    [
        (event("content_block_delta", index=[], delta={"type": "text_delta", "text": 5}),),
        (event("content_block_delta", delta=None),),
        (event("content_block_delta", delta={"type": "text_delta"}), stop()),
        (event("content_block_start", content_block="x"),),
        (event("message_start", message=[]), stop()),
        (event("message_start", message={"usage": 3, "id": []}), stop()),
        (
            start({"input_tokens": "many", "output_tokens": -1, "cache_read_input_tokens": []}),
            stop(),
        ),
        (event("message_delta", delta=7, usage=7), event("message_stop")),
        (event("message_delta", delta={"stop_reason": ["x"]}), event("message_stop")),
        (start(), tool_use(0, "[1]"), stop("tool_use")),
        (start(), tool_use(0, "[" * 100_000), stop("tool_use")),
        (start(), tool_use(0, "{}", name=""), stop("tool_use")),
        ("data: 5\n\n",),
        ("data: \n\n",),
    ],
)
async def test_malformed_fields_end_in_one_error_of_the_server(
    server: AnthropicServer, provider: AnthropicProvider, events: tuple[str, ...]
) -> None:
    server.replies = [event_stream(*events)]
    assert (await collect_error(provider)).kind is ErrorKind.SERVER


@pytest.mark.parametrize("body", [5, None, [], {}, {"content": {}}, {"content": [{}]}], ids=str)
async def test_a_whole_body_that_is_not_an_answer_is_an_error_of_the_server(
    server: AnthropicServer, provider: AnthropicProvider, body: object
) -> None:
    server.replies = [status(200, body)]
    assert (await collect_error(provider, stream=False)).kind is ErrorKind.SERVER


async def test_an_answer_that_breaks_off_still_reports_its_usage(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    for end in ("clean", "cut"):
        server.replies = [event_stream(start(), text("Hi"), end=end)]
        events = await collect_events(provider)
        assert [e.type for e in events[1:]] == [EventType.USAGE, EventType.ERROR]
        assert events[1].usage == replace(COUNTED, output_tokens=1, thinking_tokens=0)
        assert events[2].error.kind is ErrorKind.NETWORK
        assert events[2].error.request_id == REQUEST_ID


async def test_a_final_count_of_nothing_does_not_make_the_answer_free(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    nothing = event("message_delta", delta={}, usage={"input_tokens": 0, "output_tokens": 3})
    server.replies = [event_stream(start(), text("Hi"), nothing, stop())]
    assert (await collect_events(provider))[-2].usage == COUNTED
