"""How an answer with tool calls goes back to chat completions in its own form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sigil.messages.conversation import Native
from sigil.providers import ChatEvent, Message
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_events, join_text
from tests.providers.loopback import event_stream
from tests.providers.openai.chat.replies import DONE, answer, call_delta, chunk, whole
from tests.providers.openai.server import KEY, OpenAIServer

CALLED = [call_delta(0, '{"a": 1}', "call-a", "add"), chunk({}, "tool_calls"), DONE]
ASKED = Message("user", "Hello")


def native_of(events: list[ChatEvent]) -> Native:
    native = events[-1].native
    assert native is not None
    return native


async def send_again(
    provider: OpenAIProvider, server: OpenAIServer, events: list[ChatEvent], model: str = "m"
) -> dict[str, object]:
    """The assistant's message of the next call."""
    calls = tuple(event.tool_call for event in events if event.tool_call)
    answer_message = Message(
        "assistant", join_text(events), tool_calls=calls, native=events[-1].native
    )
    results = [Message("tool", "2", tool_call_id=call.id) for call in calls]
    server.reply = answer()
    await collect_events(provider, model=model, messages=[ASKED, answer_message, *results])
    return server.requests[-1]["messages"][1]


@pytest_asyncio.fixture(loop_scope="module")
async def strict(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, replay_thoughts=False)
    yield provider
    await provider.aclose()


async def test_an_answer_without_calls_has_no_native_form(provider: OpenAIProvider) -> None:
    assert (await collect_events(provider))[-1].native is None


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_goes_back_as_the_server_sent_it(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{ }"}}
    server.reply = (
        event_stream(
            chunk({"content": "I "}),
            chunk({"content": "look."}),
            call_delta(0, "{", "c", "add", **signed),
            call_delta(0, " }"),
            chunk({}, "tool_calls"),
        )
        if stream
        else whole({"content": "I look.", "tool_calls": [call | signed]}, "tool_calls")
    )
    events = await collect_events(provider, stream=stream)
    kept = {"role": "assistant", "content": "I look.", "tool_calls": [call | signed]}
    assert native_of(events).api == "openai.chat"
    assert json.loads(native_of(events).content) == kept
    assert await send_again(provider, server, events) == kept


async def test_thoughts_go_back_in_the_fields_they_came_in(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    encrypted = {"type": "reasoning.encrypted", "data": "x", "index": 0}
    server.reply = event_stream(
        chunk({"reasoning_content": "Let me "}),
        chunk({"reasoning_content": "think."}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "So", "index": 0}]}),
        chunk(
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "text": ".", "index": 0, "signature": "s"}
                ]
            }
        ),
        chunk({"reasoning_details": [encrypted, encrypted, "odd"]}),
        *CALLED,
    )
    events = await collect_events(provider)
    sent = await send_again(provider, server, events)
    assert join_text(events) == ""
    assert sent["reasoning_content"] == "Let me think."
    assert sent["reasoning_details"] == [
        {"type": "reasoning.text", "text": "So.", "index": 0, "signature": "s"},
        encrypted,
        encrypted,
    ]


async def test_a_server_that_refuses_thoughts_gets_none(
    server: OpenAIServer, strict: OpenAIProvider
) -> None:
    server.reply = event_stream(chunk({"reasoning": "Let me think."}), *CALLED)
    events = await collect_events(strict)
    assert "think" not in native_of(events).content
    assert "reasoning" not in await send_again(strict, server, events)


@pytest.mark.parametrize(
    "thoughts",
    [
        [chunk({"reasoning_content": "x" * 200_000})] * 2,
        [chunk({"reasoning_details": [{"type": "odd", "data": "x" * 300_000}]})],
        [chunk({"content": "é" * 200_000})],
    ],
)
async def test_a_native_form_that_is_too_long_is_not_kept(
    server: OpenAIServer, provider: OpenAIProvider, thoughts: list[str]
) -> None:
    server.reply = event_stream(*thoughts, *CALLED)
    events = await collect_events(provider)
    assert (events[-1].stop_reason, events[-1].native) == ("tool_calls", None)


async def test_another_model_gets_the_neutral_form(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(chunk({"reasoning": "Let me think."}), *CALLED)
    events = await collect_events(provider)
    sent = await send_again(provider, server, events, model="another")
    function = {"name": "add", "arguments": '{"a": 1}'}
    assert sent == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call-a", "type": "function", "function": function}],
    }


async def test_the_servers_own_long_ids_stay(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(call_delta(0, "{}", "c" * 60, "add"), chunk({}, "tool_calls"))
    events = await collect_events(provider)
    await send_again(provider, server, events)
    assert server.requests[-1]["messages"][2]["tool_call_id"] == "c" * 60


async def test_equal_ids_are_made_unique(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.reply = event_stream(
        call_delta(0, "{}", "c", "one"), call_delta(1, "{}", "c", "two"), chunk({}, "stop")
    )
    events = await collect_events(provider)
    ids = [event.tool_call.id for event in events if event.tool_call]
    assert len(set(ids)) == 2
    assert [call["id"] for call in json.loads(native_of(events).content)["tool_calls"]] == ids
