from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from sigil.conversation import Image, Native
from sigil.errors import ErrorKind
from sigil.providers import ChatEvent, Message, ToolCall, ToolDefinition
from sigil.providers.openai import OpenAIProvider
from tests.providers.asking import collected, failure, text_of
from tests.providers.openai.server import (
    DONE,
    KEY,
    OpenAIServer,
    answer,
    call_delta,
    chunk,
    streamed,
    whole,
)

CALLED = [call_delta(0, '{"a": 1}', "call-a", "add"), chunk({}, "tool_calls"), DONE]
ASKED = Message("user", "Hello")


def native_of(events: list[ChatEvent]) -> Native:
    native = events[-1].native
    assert native is not None
    return native


async def sent_again(
    provider: OpenAIProvider, server: OpenAIServer, events: list[ChatEvent], model: str = "m"
) -> dict[str, object]:
    """The assistant's message of the next call."""
    calls = tuple(event.tool_call for event in events if event.tool_call)
    said = Message("assistant", text_of(events), tool_calls=calls, native=events[-1].native)
    results = [Message("tool", "2", tool_call_id=call.id) for call in calls]
    server.reply = answer()
    await collected(provider, model=model, messages=[ASKED, said, *results])
    return server.requests[-1]["messages"][1]


@pytest.fixture
async def strict(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, replay_thoughts=False)
    yield provider
    await provider.aclose()


async def test_an_answer_without_calls_keeps_no_form_of_its_own(provider: OpenAIProvider) -> None:
    assert (await collected(provider))[-1].native is None


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_goes_back_as_the_server_said_it(
    server: OpenAIServer, provider: OpenAIProvider, stream: bool
) -> None:
    signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{ }"}}
    server.reply = (
        streamed(
            chunk({"content": "I "}),
            chunk({"content": "look."}),
            call_delta(0, "{", "c", "add", **signed),
            call_delta(0, " }"),
            chunk({}, "tool_calls"),
        )
        if stream
        else whole({"content": "I look.", "tool_calls": [call | signed]}, "tool_calls")
    )
    events = await collected(provider, stream=stream)
    kept = {"role": "assistant", "content": "I look.", "tool_calls": [call | signed]}
    assert native_of(events).api == "openai.chat"
    assert json.loads(native_of(events).content) == kept
    assert await sent_again(provider, server, events) == kept


async def test_thoughts_go_back_in_the_fields_they_came_in(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    encrypted = {"type": "reasoning.encrypted", "data": "x", "index": 0}
    server.reply = streamed(
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
    events = await collected(provider)
    sent = await sent_again(provider, server, events)
    assert text_of(events) == ""
    assert sent["reasoning_content"] == "Let me think."
    assert sent["reasoning_details"] == [
        {"type": "reasoning.text", "text": "So.", "index": 0, "signature": "s"},
        encrypted,
        encrypted,
    ]


async def test_a_server_that_refuses_thoughts_is_given_none(
    server: OpenAIServer, strict: OpenAIProvider
) -> None:
    server.reply = streamed(chunk({"reasoning": "Let me think."}), *CALLED)
    events = await collected(strict)
    assert "think" not in native_of(events).content
    assert "reasoning" not in await sent_again(strict, server, events)


@pytest.mark.parametrize(
    "thoughts",
    [
        [chunk({"reasoning_content": "x" * 200_000})] * 2,
        [chunk({"reasoning_details": [{"type": "odd", "data": "x" * 300_000}]})],
        [chunk({"content": "é" * 200_000})],
    ],
)
async def test_what_is_too_long_is_not_kept(
    server: OpenAIServer, provider: OpenAIProvider, thoughts: list[str]
) -> None:
    server.reply = streamed(*thoughts, *CALLED)
    events = await collected(provider)
    assert (events[-1].stop_reason, events[-1].native) == ("tool_calls", None)


async def test_only_the_same_model_is_given_it_back(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(chunk({"reasoning": "Let me think."}), *CALLED)
    events = await collected(provider)
    sent = await sent_again(provider, server, events, model="another")
    function = {"name": "add", "arguments": '{"a": 1}'}
    assert sent == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call-a", "type": "function", "function": function}],
    }


@pytest.mark.parametrize("content", ["{", "[]", '"x"', ""])
async def test_a_damaged_form_gives_way_to_the_neutral_one(
    server: OpenAIServer, provider: OpenAIProvider, content: str
) -> None:
    said = Message(
        "assistant",
        tool_calls=(ToolCall("c", "add", {}),),
        native=Native("openai.chat", "m", content),
    )
    await collected(provider, messages=[ASKED, said, Message("tool", "2", tool_call_id="c")])
    assert server.requests[-1]["messages"][1]["tool_calls"][0]["id"] == "c"


async def test_another_vendors_long_ids_are_shortened_alike(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    said = Message("assistant", tool_calls=(ToolCall("x" * 300, "add", {}),))
    result = Message("tool", "2", tool_call_id="x" * 300)
    await collected(provider, messages=[ASKED, said, result])
    _, calling, answering = server.requests[-1]["messages"]
    assert calling["tool_calls"][0]["id"] == answering["tool_call_id"]
    assert len(answering["tool_call_id"]) <= 40, "OpenAI takes no longer one"


async def test_the_servers_own_long_ids_stay(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(call_delta(0, "{}", "c" * 60, "add"), chunk({}, "tool_calls"))
    events = await collected(provider)
    await sent_again(provider, server, events)
    assert server.requests[-1]["messages"][2]["tool_call_id"] == "c" * 60


async def test_ids_that_are_all_the_same_are_told_apart(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(
        call_delta(0, "{}", "c", "one"), call_delta(1, "{}", "c", "two"), chunk({}, "stop")
    )
    events = await collected(provider)
    ids = [event.tool_call.id for event in events if event.tool_call]
    assert len(set(ids)) == 2
    assert [call["id"] for call in json.loads(native_of(events).content)["tool_calls"]] == ids


async def test_a_name_that_the_vendor_does_not_take_comes_back_as_it_was(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(call_delta(0, "{}", "c", "files_read"), chunk({}, "tool_calls"))
    events = await collected(provider, tools=(ToolDefinition("files.read"),))
    assert server.requests[-1]["tools"][0]["function"]["name"] == "files_read"
    assert events[0].tool_call is not None
    assert events[0].tool_call.name == "files.read"


async def test_pictures_go_in_beside_the_text(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    images = (Image("https://example.com/a.png"), Image("data:image/png;base64,AAAA"))
    await collected(provider, messages=[Message("user", "What is this?", images=images)])
    assert server.requests[-1]["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://169.254.169.254/", "data:text/x,"])
async def test_a_server_is_not_made_to_fetch_just_anything(
    server: OpenAIServer, provider: OpenAIProvider, url: str
) -> None:
    messages = [Message("user", "What is this?", images=(Image(url),))]
    error = await failure(provider, messages=messages)
    assert (error.kind, error.reached) == (ErrorKind.INVALID_REQUEST, False)
    assert server.requests == []


async def test_content_in_parts_is_its_text(server: OpenAIServer, provider: OpenAIProvider) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Hi"},
    ]
    server.reply = streamed(chunk({"content": parts}), chunk({"content": " there"}, "stop"))
    assert text_of(await collected(provider)) == "Hi there"
