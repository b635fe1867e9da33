"""Every vendor's official SDK against a server that others wrote, aimock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from sigil.errors import ErrorKind
from sigil.providers import EventType, Message, Native, Provider, ToolDefinition, Usage
from tests.providers.aimock import Aimock
from tests.providers.calls import (
    collect_error,
    collect_events,
    join_text,
    make_request,
    tool_calls_in,
)
from tests.providers.vendors import LOCAL, VENDORS, Vendor, open_providers

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

streaming = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def aimock_providers(aimock: Aimock) -> AsyncIterator[Mapping[str, Provider]]:
    async with open_providers(aimock) as providers:
        yield providers


@pytest.fixture
def provider(vendor: Vendor, aimock_providers: Mapping[str, Provider]) -> Provider:
    return aimock_providers[vendor.name]


@pytest.fixture
def journal(aimock: Aimock) -> Aimock:
    """aimock with an empty journal."""
    aimock.forget()
    return aimock


def say(content: str, **fields: Any) -> dict[str, Any]:
    return {"model": "model-1", "messages": [Message("user", content)], "max_tokens": 64, **fields}


def only_request_in(aimock: Aimock) -> dict[str, Any]:
    """The one request that was made, in the form of chat completions."""
    (entry,) = aimock.journal()
    body: dict[str, Any] = entry["body"]
    return body


@streaming
async def test_an_answer_is_text_then_usage_then_done(
    journal: Aimock, provider: Provider, stream: bool
) -> None:
    events = await collect_events(provider, **say(HELLO, stream=stream))
    assert join_text(events) == HELLO
    types = [event.type for event in events]
    assert types[-2:] == [EventType.USAGE, EventType.DONE]
    assert set(types[:-2]) == {EventType.TEXT_DELTA}
    # What comes at once of a stream is one delta; aimock may send all of it at once.
    assert len(types) >= 3 if stream else len(types) == 3
    assert events[-2].usage == Usage(input_tokens=11, output_tokens=7)
    assert events[-1].stop_reason == "stop"
    body = only_request_in(journal)
    assert body["model"] == "model-1"
    assert body["messages"] == [{"role": "user", "content": HELLO}]


@streaming
async def test_an_answer_at_its_bound_says_so(provider: Provider, stream: bool) -> None:
    events = await collect_events(provider, **say("Write a long answer", stream=stream))
    assert join_text(events) == "It was cut"
    assert events[-1].type is EventType.DONE
    assert events[-1].stop_reason == "length"


async def test_the_system_prompt_comes_first(journal: Aimock, provider: Provider) -> None:
    request = say("Who are you?", system_prompt="You are Sigil.", temperature=0.5)
    assert join_text(await collect_events(provider, **request)) == "Sigil."
    roles = [message["role"] for message in only_request_in(journal)["messages"]]
    assert roles == ["system", "user"]


@pytest.mark.parametrize(
    ("form", "stream"),
    [("own", True), ("own", False), ("another's", True), ("neutral", True)],
)
# aimock's own invention; Google says STOP.
@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning")
async def test_tools_go_both_ways(
    journal: Aimock, vendor: Vendor, provider: Provider, stream: bool, form: str
) -> None:
    request = say(TIME, tools=(CLOCK,), stream=stream)
    events = await collect_events(provider, **request)
    assert join_text(events) == "I look."
    first, second = tool_calls_in(events)
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
        join_text(events),
        tool_calls=(first, second),
        native={"own": own, "another's": Native("another", "model-1", "[5]")}.get(form),
    )
    results = [
        Message("tool", "12:00", tool_call_id=first.id),
        Message("tool", "13:00", tool_call_id=second.id),
    ]
    journal.forget()
    request["messages"] = [*request["messages"], answer, *results]
    assert join_text(await collect_events(provider, **request)) == "It is noon."
    messages = only_request_in(journal)["messages"]
    call_ids = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    noon, later = (message for message in messages if message["role"] == "tool")
    assert [noon["tool_call_id"], later["tool_call_id"]] == call_ids
    assert "12:00" in noon["content"]
    assert "13:00" in later["content"]


async def test_leaving_a_stream_early_leaves_the_provider_usable(provider: Provider) -> None:
    events = provider.chat(make_request(**say(HELLO)))
    assert (await anext(events)).type is EventType.TEXT_DELTA
    await events.aclose()
    assert join_text(await collect_events(provider, **say(HELLO))) == HELLO


# What goes wrong


async def test_a_limit_says_when_it_is_over(aimock: Aimock, provider: Provider) -> None:
    with aimock.chaos("rateLimitRate"):
        error = await collect_error(provider, **say(HELLO))
    assert (error.kind, error.retry_after) == (ErrorKind.RATE_LIMITED, 1)


async def test_a_malformed_answer_is_the_servers_fault(aimock: Aimock, provider: Provider) -> None:
    with aimock.chaos("malformedRate"):
        assert (await collect_error(provider, **say(HELLO))).kind is ErrorKind.SERVER
    assert join_text(await collect_events(provider, **say(HELLO))) == HELLO


async def test_a_stream_that_is_cut_in_the_middle_is_not_an_answer(provider: Provider) -> None:
    events = await collect_events(provider, **say("Stop in the middle"))
    assert 0 < len(join_text(events)) < len("This stops before its end, in the middle.")
    assert events[-1].error is not None
    assert events[-1].error.kind is ErrorKind.NETWORK


@pytest.mark.parametrize("vendor", [*VENDORS, LOCAL], ids=str)
async def test_an_error_names_the_key_that_is_wrong(aimock: Aimock, vendor: Vendor) -> None:
    provider = vendor.make(aimock.url(vendor.wire), "sk-wrong-0123456789")
    error = await collect_error(provider, **say(HELLO))
    await provider.aclose()
    assert error.kind is ErrorKind.AUTH
    assert "sk-wrong" not in str(error)
    assert f"providers.{vendor.name}.api_key" in str(error)
