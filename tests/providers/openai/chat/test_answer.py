"""What chat completions answer."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind
from sigil.providers import EventType, Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error, collect_events, join_text
from tests.providers.loopback import Json, Reply, event_stream, status
from tests.providers.openai.chat.replies import DONE, USAGE, answer, call_delta, chunk, whole, words
from tests.providers.openai.server import KEY, OpenAIServer

COUNTED = Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3)
HI = list(words("Hi there"))


@pytest.mark.parametrize("stream", [True, False])
async def test_usage_counts_cached_and_thinking_tokens(
    provider: OpenAIProvider, stream: bool
) -> None:
    events = await collect_events(provider, stream=stream)
    assert [event.usage for event in events if event.usage] == [COUNTED]


async def test_a_server_that_counts_nothing_is_fine(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(*words("Hi"), chunk({}, "stop"), DONE)
    types = [event.type for event in await collect_events(provider)]
    assert types == [EventType.TEXT_DELTA, EventType.DONE]


async def test_tool_calls_are_put_together(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.reply = event_stream(
        call_delta(0, "", "call-a", "add"),
        call_delta(0, '{"a":'),
        call_delta(1, '{"b": 2}', "call-b", "sub"),
        call_delta(0, " 1}"),
        chunk({}, "tool_calls"),
        DONE,
    )
    *calls, done = await collect_events(provider)
    assert [event.type for event in calls] == [EventType.TOOL_CALL] * 2
    found = [(e.tool_call.id, e.tool_call.name, e.tool_call.arguments) for e in calls]
    assert found == [("call-a", "add", {"a": 1}), ("call-b", "sub", {"b": 2})]
    assert done.stop_reason == "tool_calls"


async def test_servers_with_one_index_and_without_ids_are_understood(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(
        call_delta(0, "{}", "call-a", "one"),
        call_delta(0, "{}", "call-b", "two"),
        call_delta(1, "", None, "three"),
        chunk({}, "stop"),
    )
    *calls, done = await collect_events(provider)
    assert [event.tool_call.name for event in calls] == ["one", "two", "three"]
    assert len({event.tool_call.id for event in calls}) == 3
    assert done.stop_reason == "tool_calls"


async def test_a_tool_call_that_came_whole(server: OpenAIServer, provider: OpenAIProvider) -> None:
    function = {"name": "add", "arguments": '{"a": 1}'}
    server.reply = whole({"tool_calls": [{"id": "c", "type": "function", "function": function}]})
    events = await collect_events(provider, stream=False)
    types = [EventType.TOOL_CALL, EventType.USAGE, EventType.DONE]
    assert [event.type for event in events] == types
    call = events[0].tool_call
    assert call is not None
    assert (call.id, call.name, call.arguments) == ("c", "add", {"a": 1})


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
async def test_malformed_tool_calls_are_an_error_of_the_server(
    server: OpenAIServer, provider: OpenAIProvider, arguments: str
) -> None:
    server.reply = event_stream(call_delta(0, arguments, "c", "add"), chunk({}, "tool_calls"), DONE)
    assert (await collect_error(provider)).kind is ErrorKind.SERVER


async def test_an_endless_tool_call_is_cut_off(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(*[call_delta(0, "x" * 300_000, "c", "add")] * 4, end="silence")
    assert "too long" in str(await collect_error(provider))


async def test_an_answer_cut_off_by_its_bound_says_so(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = answer("Hi", "length")
    assert (await collect_events(provider))[-1].stop_reason == "length"


async def test_a_refusal_is_text(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.reply = event_stream(chunk({"refusal": "I would rather not."}), chunk({}, "stop"), DONE)
    assert (await collect_events(provider))[0].text == "I would rather not."


async def test_an_answer_all_spent_on_thinking_is_cut_off_but_does_not_fail(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(chunk({}, "length"), DONE)
    (end,) = await collect_events(provider)
    assert (end.type, end.stop_reason) == (EventType.DONE, "length")


async def test_a_call_that_was_cut_off_is_left_out(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(
        chunk({"content": "I look."}), call_delta(0, '{"a": ', "c", "add"), chunk({}, "length")
    )
    events = await collect_events(provider)
    assert [event.type for event in events] == [EventType.TEXT_DELTA, EventType.DONE]
    assert (events[-1].stop_reason, events[-1].native) == ("length", None)


async def test_content_in_parts_is_its_text(server: OpenAIServer, provider: OpenAIProvider) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Hi"},
    ]
    server.reply = event_stream(chunk({"content": parts}), chunk({"content": " there"}, "stop"))
    assert join_text(await collect_events(provider)) == "Hi there"


COUNTS = {
    "written to the cache": (
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5}},
        Usage(11, 7, cached_tokens=4, cache_write_tokens=5, thinking_tokens=3),
    ),
    "thoughts in the total only": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 45,
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        Usage(10, 35, thinking_tokens=30),
    ),
    "no details": ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 5)),
    "more parts than the whole": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99},
            "completion_tokens_details": {"reasoning_tokens": 99},
        },
        Usage(10, 5, cached_tokens=10, thinking_tokens=5),
    ),
    "nonsense": (
        {
            "prompt_tokens": -3,
            "completion_tokens": "5",
            "total_tokens": None,
            "prompt_tokens_details": 7,
            "completion_tokens_details": {"reasoning_tokens": True},
        },
        Usage(),
    ),
}


@pytest.mark.parametrize(("sent", "counted"), COUNTS.values(), ids=COUNTS)
async def test_usage_counts_all_input_and_all_output(
    server: OpenAIServer, sent: Json, counted: Usage
) -> None:
    server.reply = event_stream(*words("Hi"), chunk({}, "stop"), chunk(usage=sent), DONE)
    provider = OpenAIProvider(api_key=KEY, base_url=server.url)
    events = await collect_events(provider)
    await provider.aclose()
    assert [event.usage for event in events if event.type is EventType.USAGE] == [counted]


BROKEN = {
    "ended early with the marker of the transport": (event_stream(*HI, DONE), ErrorKind.NETWORK),
    "nothing but noise": (event_stream("oops\n\n"), ErrorKind.SERVER),
    "odd choices": (event_stream('data: {"choices": [{}]}\n\n'), ErrorKind.NETWORK),
    "odd content": (
        event_stream('data: {"choices": [{"delta": {"content": 7}}]}\n\n'),
        ErrorKind.SERVER,
    ),
    "not a stream": (status(200, {"choices": []}), ErrorKind.SERVER),
    "malformed and not a stream": (status(200, "{oops"), ErrorKind.SERVER),
    "too big and not a stream": (status(200, "[" * 100_000), ErrorKind.SERVER),
    "only spaces": (event_stream(chunk({"content": " \n"}), chunk({}, "stop")), ErrorKind.SERVER),
    "moved elsewhere": (status(307, "", location="http://127.0.0.1:1/"), ErrorKind.SERVER),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_stream_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await collect_error(provider)).kind is kind


BROKEN_WHOLE = {
    "no choices": (status(200, {"choices": []}), ErrorKind.SERVER),
    "no message": (status(200, {"choices": [{"finish_reason": "stop"}]}), ErrorKind.SERVER),
    "no end": (whole({"content": "Hi"}, None), ErrorKind.NETWORK),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN_WHOLE.values(), ids=BROKEN_WHOLE)
async def test_a_broken_whole_answer_is_an_error_of_its_class(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    server.reply = reply
    assert (await collect_error(provider, stream=False)).kind is kind


async def test_an_empty_answer_is_still_charged(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(chunk({}, "stop"), chunk(usage=USAGE), DONE)
    events = await collect_events(provider)
    assert [event.type for event in events] == [EventType.USAGE, EventType.ERROR]
    assert events[0].usage == COUNTED
