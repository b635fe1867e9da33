from __future__ import annotations

import json

import pytest

from sigil.conversation import Image
from sigil.providers import EventType, Message, ToolCall, ToolDefinition, Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.asking import collected, text_of
from tests.providers.openai_server import (
    KEY,
    OpenAIServer,
    status,
    streamed,
)
from tests.providers.responses_replies import (
    CALL,
    CREATED,
    REASONING,
    answered,
    event,
    last,
    message,
    response,
)

COUNTED = Usage(11, 7, cached_tokens=4, thinking_tokens=3, cache_write_tokens=2)
ASKED = Message("user", "Hello")
ADD = ToolDefinition("add", "Adds", {"type": "object", "properties": {"a": {}}})


@pytest.fixture
def provider(responses: OpenAIProvider) -> OpenAIProvider:
    return responses


# What is sent


async def test_the_request_carries_what_was_asked(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    await collected(
        provider, system_prompt="Be brief.", tools=(ADD,), max_tokens=50, temperature=0.2
    )
    assert server.paths == ["/v1/responses"]
    assert server.requests == [
        {
            "model": "m",
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": "Hello"}],
            "max_output_tokens": 50,
            "temperature": 0.2,
            "store": False,
            "stream": True,
            "tools": [
                {
                    "type": "function",
                    "name": "add",
                    "description": "Adds",
                    "parameters": {"type": "object", "properties": {"a": {}}},
                    "strict": False,
                }
            ],
        }
    ]


async def test_a_model_that_thinks_is_asked_for_its_thoughts(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    await collected(provider, model="gpt-6-sol", temperature=0.2)
    await collected(provider, model="gpt-4.1", temperature=0.2)
    thinking, plain = server.requests
    assert thinking["include"] == ["reasoning.encrypted_content"]
    assert "temperature" not in thinking
    assert "include" not in plain


async def test_a_conversation_is_sent_as_items(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    long = "x" * 300
    calls = (ToolCall("c1", "add", {"a": "é"}), ToolCall(long, "files.read", {}))
    await collected(
        provider,
        tools=(ADD, ToolDefinition("files.read")),
        messages=[
            ASKED,
            Message("assistant", "I look.", tool_calls=calls),
            Message("tool", "1", tool_call_id="c1"),
            Message("tool", "2", tool_call_id=long),
            Message("assistant", "Two."),
            Message("user", images=(Image("data:image/png;base64,AAAA"),)),
        ],
    )
    items = server.requests[-1]["input"]
    short = items[3]["call_id"]
    assert items == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": "é"}'},
        {"type": "function_call", "call_id": short, "name": "files_read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": short, "output": "2"},
        {"role": "assistant", "content": "Two."},
        {
            "role": "user",
            "content": [
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,AAAA",
                    "detail": "auto",
                }
            ],
        },
    ]


def test_openais_own_servers_are_asked_for_responses_others_for_chat_completions() -> None:
    def api_of(**how: str) -> str:
        return OpenAIProvider(api_key="k", **how)._api.path

    assert api_of() == "/responses"
    assert api_of(base_url="https://eu.api.openai.com/v1") == "/responses"
    assert api_of(base_url="https://openai.example.com/v1") == "/chat/completions"
    assert api_of(api="chat") == "/chat/completions"


# What comes back

STREAM_AND_WHOLE = pytest.mark.parametrize("stream", [True, False])


@STREAM_AND_WHOLE
async def test_an_answer_is_text_usage_and_an_end(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    server.reply = answered(text="Hi there")[not stream]
    events = await collected(provider, stream=stream)
    assert text_of(events) == "Hi there"
    assert [event.usage for event in events if event.usage] == [COUNTED]
    assert events[-1].type is EventType.DONE
    assert (events[-1].stop_reason, events[-1].native) == ("stop", None)


@STREAM_AND_WHOLE
async def test_calls_keep_their_form_and_go_back_in_it(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    called = {**CALL, "call_id": "c" * 60}
    server.reply = answered(REASONING, message("I look."), called)[not stream]
    first = await collected(provider, stream=stream, tools=(ADD,))
    (call,) = [event.tool_call for event in first if event.tool_call]
    assert (call.id, call.name, call.arguments) == ("c" * 60, "add", {"a": 1})
    assert text_of(first) == "I look."
    end = first[-1]
    assert end.stop_reason == "tool_calls"
    assert end.native is not None
    assert (end.native.api, end.native.model) == ("openai.responses", "m")

    said = Message("assistant", "I look.", tool_calls=(call,), native=end.native)
    result = Message("tool", "2", tool_call_id=call.id)
    await collected(provider, messages=[ASKED, said, result])
    assert server.requests[-1]["input"] == [
        {"role": "user", "content": "Hello"},
        REASONING,
        message("I look."),
        called,
        {"type": "function_call_output", "call_id": "c" * 60, "output": "2"},
    ]
    await collected(provider, model="other", messages=[ASKED, said, result])
    assert "gAAAA=" not in str(server.requests[-1])


async def test_thoughts_that_the_vendor_would_have_to_look_up_are_left_out(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    bare = {key: value for key, value in REASONING.items() if key != "encrypted_content"}
    server.reply = answered(bare, CALL)[0]
    native = (await collected(provider))[-1].native
    assert native is not None
    assert json.loads(native.content) == [{k: v for k, v in CALL.items() if k != "id"}]


async def test_what_the_vendor_keeps_may_be_looked_up(server: OpenAIServer) -> None:
    bare = {key: value for key, value in REASONING.items() if key != "encrypted_content"}
    server.reply = answered(bare, CALL)[0]
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, api="responses", store=True)
    native = (await collected(provider))[-1].native
    await provider.aclose()
    assert native is not None
    assert json.loads(native.content) == [bare, CALL]


async def test_a_call_without_an_id_gets_one(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = answered({**CALL, "call_id": None})[0]
    events = await collected(provider)
    call, native = events[0].tool_call, events[-1].native
    assert call is not None
    assert native is not None
    assert json.loads(native.content)[0]["call_id"] == call.id != ""


async def test_a_server_that_streams_no_pieces_is_understood(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(CREATED, last(message("Hi there"), CALL))
    events = await collected(provider)
    assert [event.type for event in events] == [
        EventType.TEXT_DELTA,
        EventType.TOOL_CALL,
        EventType.USAGE,
        EventType.DONE,
    ]
    assert text_of(events) == "Hi there"


async def test_a_refusal_is_text(server: OpenAIServer, provider: OpenAIProvider) -> None:
    refused = event("response.refusal.delta", delta="I would rather not.")
    server.reply = streamed(CREATED, refused, last())
    assert text_of(await collected(provider)) == "I would rather not."
    whole = message() | {"content": [{"type": "refusal", "refusal": "No."}]}
    server.reply = status(200, response(whole))
    assert text_of(await collected(provider, stream=False)) == "No."


@STREAM_AND_WHOLE
@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        (None, "length"),
        ({"reason": "max_messages"}, "max_messages"),
    ],
)
async def test_an_answer_that_is_not_whole_says_why(
    server: OpenAIServer,
    provider: OpenAIProvider,
    details: dict[str, str] | None,
    reason: str,
    stream: bool,
) -> None:
    replies = answered(text="Hi", state="incomplete", incomplete_details=details)
    server.reply = replies[not stream]
    assert (await collected(provider, stream=stream))[-1].stop_reason == reason


@STREAM_AND_WHOLE
async def test_an_answer_all_spent_on_thinking_is_cut_off_and_no_failure(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    server.reply = answered(REASONING, state="incomplete")[not stream]
    events = await collected(provider, stream=stream)
    assert [event.type for event in events] == [EventType.USAGE, EventType.DONE]
    assert events[-1].stop_reason == "length"


async def test_a_call_that_was_cut_off_is_none(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    half = {**CALL, "call_id": "call_2", "arguments": '{"a": ', "status": "incomplete"}
    server.reply = answered(CALL, half, state="incomplete")[0]
    events = await collected(provider)
    assert [event.tool_call.id for event in events if event.tool_call] == ["call_1"]
    assert events[-1].stop_reason == "length"
    assert events[-1].native is not None
    assert json.loads(events[-1].native.content) == [CALL]
