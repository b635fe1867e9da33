"""One contract for every vendor: its official SDK against a server that others wrote, aimock.

What only the exact request can show is looked up at the fault server, which keeps it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import (
    ChatEvent,
    ChatRequest,
    EventType,
    Image,
    Message,
    Native,
    Provider,
    ToolCall,
    ToolDefinition,
    Usage,
)
from tests.providers.aimock import Aimock
from tests.providers.exchange import KEY, TEXT
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.vendors import Vendor, made
from tests.providers.wires.openai import RESPONSES

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = "Hello world"
TIME = "What time is it?"
CLOCK = ToolDefinition(
    "clock.now",
    "The time",
    {
        "type": "object",
        "properties": {"zone": {"type": "string"}, "at": {"type": "array", "items": {}}},
    },
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def providers(aimock: Aimock) -> AsyncIterator[Mapping[str, Provider]]:
    async with made(aimock) as providers:
        yield providers


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def recorded_providers(server: FaultServer) -> AsyncIterator[Mapping[str, Provider]]:
    async with made(server) as providers:
        yield providers


@pytest.fixture
def recorded(vendor: Vendor, recorded_providers: Mapping[str, Provider]) -> Provider:
    """The vendor's provider at the fault server, which keeps what it gets."""
    return recorded_providers[vendor.name]


@pytest.fixture
def sent(aimock: Aimock) -> Aimock:
    """aimock with an empty journal."""
    aimock.forget()
    return aimock


@pytest.fixture
def provider(vendor: Vendor, providers: Mapping[str, Provider]) -> Provider:
    return providers[vendor.name]


def asked(content: str = HELLO, **fields: Any) -> ChatRequest:
    return replace(ChatRequest("model-1", [Message("user", content)], max_tokens=64), **fields)


async def collected(provider: Provider, request: ChatRequest) -> list[ChatEvent]:
    async with asyncio.timeout(30):
        return [event async for event in provider.chat(request)]


async def failure(provider: Provider, request: ChatRequest) -> ProviderError:
    events = await collected(provider, request)
    assert [event.type for event in events].count(EventType.ERROR) == 1
    assert events[-1].type is EventType.ERROR
    assert events[-1].error is not None
    assert KEY not in f"{events[-1].error!r} {events[-1].error}"
    return events[-1].error


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if event.type is EventType.TEXT_DELTA)


def calls_in(events: list[ChatEvent]) -> list[ToolCall]:
    return [event.tool_call for event in events if event.tool_call is not None]


def journal_of(aimock: Aimock) -> dict[str, Any]:
    """The one request that was made, as chat completions would word it."""
    (entry,) = aimock.journal()
    body: dict[str, Any] = entry["body"]
    return body


streaming = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@streaming
async def test_an_answer_is_text_then_usage_then_done(
    sent: Aimock, provider: Provider, stream: bool
) -> None:
    events = await collected(provider, asked(stream=stream))
    assert text_of(events) == HELLO
    types = [event.type for event in events]
    assert types[-2:] == [EventType.USAGE, EventType.DONE]
    assert set(types[:-2]) == {EventType.TEXT_DELTA}
    # What of a stream comes at once is one delta; aimock may send all of it at once.
    assert len(types) >= 3 if stream else len(types) == 3
    assert events[-2].usage == Usage(input_tokens=11, output_tokens=7)
    assert events[-1].stop_reason == "stop"
    body = journal_of(sent)
    assert body["model"] == "model-1"
    assert body["messages"] == [{"role": "user", "content": HELLO}]


@streaming
async def test_an_answer_at_its_bound_says_so(provider: Provider, stream: bool) -> None:
    events = await collected(provider, asked("Write a long answer", stream=stream))
    assert text_of(events) == "It was cut"
    assert events[-1].type is EventType.DONE
    assert events[-1].stop_reason == "length"


async def test_the_system_prompt_is_one(sent: Aimock, provider: Provider) -> None:
    request = asked("Who are you?", system_prompt="You are Sigil.", temperature=0.5)
    assert text_of(await collected(provider, request)) == "Sigil."
    roles = [message["role"] for message in journal_of(sent)["messages"]]
    assert roles == ["system", "user"]


@streaming
@pytest.mark.parametrize("form", ["own", "another's", "neutral"])
# aimock's own invention; Google says STOP.
@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning")
async def test_tools_go_both_ways(
    sent: Aimock, vendor: Vendor, provider: Provider, stream: bool, form: str
) -> None:
    request = asked(TIME, tools=(CLOCK,), stream=stream)
    events = await collected(provider, request)
    assert text_of(events) == "I look."
    first, second = calls_in(events)
    assert (first.name, second.name) == ("clock.now", "clock.now")
    assert (first.arguments, second.arguments) == ({"zone": "UTC", "at": [1, {"x": "é"}]}, {})
    assert first.id
    assert first.id != second.id
    assert events[-1].type is EventType.DONE
    assert events[-1].stop_reason == "tool_calls"
    assert [event.type for event in events].count(EventType.USAGE) == 1

    own = events[-1].native
    assert own is not None
    assert (own.api, own.model) == (vendor.wire.name, "model-1")
    answer = Message(
        "assistant",
        text_of(events),
        tool_calls=(first, second),
        native={"own": own, "another's": Native("another", "model-1", "[5]")}.get(form),
    )
    results = [
        Message("tool", "12:00", tool_call_id=first.id),
        Message("tool", "13:00", tool_call_id=second.id),
    ]
    sent.forget()
    again = replace(request, messages=[*request.messages, answer, *results])
    assert text_of(await collected(provider, again)) == "It is noon."
    messages = journal_of(sent)["messages"]
    asked_for = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    noon, later = (message for message in messages if message["role"] == "tool")
    assert [noon["tool_call_id"], later["tool_call_id"]] == asked_for
    assert "12:00" in noon["content"]
    assert "13:00" in later["content"]


async def test_the_definition_of_a_tool_arrives_whole(
    server: FaultServer, vendor: Vendor, recorded: Provider
) -> None:
    request = asked(tools=(CLOCK, ToolDefinition("stop")))
    assert text_of(await collected(recorded, request)) == TEXT
    sent = json.dumps(server.calls[-1].body["tools"])
    # No vendor takes a name with a dot.
    for part in ('"clock_now"', '"The time"', '"zone"', '"items"', '"stop"'):
        assert part in sent, (part, sent)
    assert "clock.now" not in sent


@streaming
async def test_what_was_cached_and_thought_is_counted(
    vendor: Vendor, recorded: Provider, stream: bool
) -> None:
    events = await collected(recorded, asked(stream=stream))
    assert [event.usage for event in events if event.usage] == [vendor.wire.usage]


async def test_a_picture_is_sent(server: FaultServer, recorded: Provider) -> None:
    pixel = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
    shown = Message("user", HELLO, images=(Image(f"data:image/gif;base64,{pixel}", "image/gif"),))
    request = asked(messages=[shown])
    assert text_of(await collected(recorded, request)) == TEXT
    assert pixel in json.dumps(server.calls[-1].body)


async def test_who_asks_is_not_told(
    server: FaultServer, vendor: Vendor, recorded: Provider
) -> None:
    request = asked(session="session-quetzal", user="person-quetzal")
    assert text_of(await collected(recorded, request)) == TEXT
    call = server.calls[-1]
    assert "quetzal" not in json.dumps(call.body) + json.dumps(call.headers)
    assert not {"metadata", "user", "safety_identifier", "prompt_cache_key"} & call.body.keys()
    # Responses are kept by the vendor unless it is told not to.
    assert call.body.get("store") is (False if vendor.wire is RESPONSES else None)


async def test_closing_a_stream_early_leaves_the_provider_usable(provider: Provider) -> None:
    events = provider.chat(asked())
    assert (await anext(events)).type is EventType.TEXT_DELTA
    await events.aclose()
    assert text_of(await collected(provider, asked())) == HELLO


async def test_calls_run_side_by_side(provider: Provider) -> None:
    answers = await asyncio.gather(*(collected(provider, asked()) for _ in range(8)))
    assert {text_of(events) for events in answers} == {HELLO}


# What goes wrong


@streaming
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ErrorKind.AUTH),
        (429, ErrorKind.RATE_LIMITED),
        (500, ErrorKind.SERVER),
        (529, ErrorKind.OVERLOADED),
    ],
)
async def test_a_refusal_has_its_class(
    aimock: Aimock, provider: Provider, status: int, kind: ErrorKind, stream: bool
) -> None:
    aimock.fail_once(status, f"The key was {KEY}", "error")
    error = await failure(provider, asked(stream=stream))
    assert (error.kind, error.status, error.provider) == (kind, status, provider.name)
    assert error.transient is (kind is not ErrorKind.AUTH)
    assert text_of(await collected(provider, asked())) == HELLO


@streaming
async def test_a_limit_says_when_it_is_over(
    aimock: Aimock, provider: Provider, stream: bool
) -> None:
    with aimock.chaos("rateLimitRate"):
        error = await failure(provider, asked(stream=stream))
    assert error.kind is ErrorKind.RATE_LIMITED
    assert error.retry_after == 1


@streaming
@pytest.mark.parametrize(
    ("fault", "kind"),
    [("disconnectRate", ErrorKind.NETWORK), ("malformedRate", ErrorKind.SERVER)],
)
async def test_a_broken_answer_has_its_class(
    aimock: Aimock, provider: Provider, fault: str, kind: ErrorKind, stream: bool
) -> None:
    with aimock.chaos(fault):
        assert (await failure(provider, asked(stream=stream))).kind is kind
    assert text_of(await collected(provider, asked())) == HELLO


async def test_a_stream_that_is_cut_in_the_middle_is_not_an_answer(provider: Provider) -> None:
    events = await collected(provider, asked("Stop in the middle"))
    assert 0 < len(text_of(events)) < len("This stops before its end, in the middle.")
    assert events[-1].error is not None
    assert events[-1].error.kind is ErrorKind.NETWORK


async def test_a_wrong_key_is_the_keys_fault(aimock: Aimock, vendor: Vendor) -> None:
    wrong = vendor.make(aimock.url(vendor.wire), "sk-wrong-0123456789")
    error = await failure(wrong, asked())
    assert error.kind is ErrorKind.AUTH
    assert "sk-wrong" not in str(error)
    assert f"providers.{wrong.name}.api_key" in str(error)
    await wrong.aclose()
