"""What every provider must do, whoever answers behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import (
    EventType,
    Message,
    ModelInfo,
    Provider,
    ToolCall,
    ToolDefinition,
)
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.echo import EchoProvider
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from tests.providers.calls import collect_events, join_text, make_request
from tests.providers.exchange import TEXT
from tests.providers.fault_server import fault_server
from tests.providers.vendors import VENDORS, Vendor

QUESTION = Message("user", TEXT)


def limited() -> ProviderError:
    return ProviderError("slow down", kind=ErrorKind.RATE_LIMITED)


@asynccontextmanager
async def served(vendor: Vendor) -> AsyncIterator[Provider]:
    """The vendor's provider at a server that says `TEXT`, and refuses `limited.before`."""
    async with fault_server() as server:
        provider = vendor.make(server.url(vendor.wire))
        yield provider
        await provider.aclose()


@pytest.fixture(params=["fake", "scripted", "echo", "chain", *VENDORS], ids=str)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    """One that answers `TEXT` with `TEXT`."""
    fake = FakeProvider("fake", reply=TEXT)
    if request.param == "fake":
        yield fake
    elif request.param == "scripted":
        yield ScriptedProvider([TEXT] * 20)
    elif request.param == "echo":
        yield EchoProvider(delay=0)
    elif request.param == "chain":
        broken = Candidate("s/model", {"": ScriptedProvider([limited()] * 20)})
        yield FailoverProvider([broken, Candidate("f/model", {"": fake})])
    else:
        async with served(request.param) as provider:
            yield provider


@pytest.fixture(params=["scripted", *VENDORS], ids=str)
async def limited_provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    """One that answers with a rate limit. The other providers cannot fail."""
    if request.param == "scripted":
        yield ScriptedProvider([limited()])
    else:
        async with served(request.param) as provider:
            yield provider


async def test_it_is_a_provider_with_a_name(provider: Provider) -> None:
    assert isinstance(provider, Provider)
    assert provider.name


async def test_it_says_locally_whether_it_is_available(provider: Provider) -> None:
    assert await provider.available() is True


async def test_models_are_listed_with_what_they_can_do(provider: Provider) -> None:
    models = await provider.list_models()
    # Only its owner knows what a server of another name has.
    assert bool(models) is (provider.name not in {"local", "responses"})
    assert len({model.id for model in models}) == len(models)
    for model in models:
        assert isinstance(model, ModelInfo)
        assert 0 < model.max_output_tokens <= model.max_context_tokens


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_text_then_usage_then_one_done(provider: Provider, stream: bool) -> None:
    events = await collect_events(provider, QUESTION, stream=stream)
    assert join_text(events) == TEXT
    types = [event.type for event in events]
    assert types[-2:] == [EventType.USAGE, EventType.DONE]
    assert set(types[:-2]) == {EventType.TEXT_DELTA}
    assert events[-1].stop_reason == "stop"
    usage = events[-2].usage
    assert usage is not None
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0


async def test_a_whole_conversation_with_tools_is_taken(provider: Provider) -> None:
    call = ToolCall("call-1", "clock.now", {"zone": "UTC"})
    events = await collect_events(
        provider,
        Message(role="user", content="What time is it?"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="12:00", tool_call_id="call-1"),
        Message(role="assistant", content="Noon."),
        QUESTION,
        system_prompt="Be brief.",
        tools=(ToolDefinition("clock.now", "The time"),),
        temperature=0.5,
    )
    assert join_text(events) == TEXT
    assert events[-1].type is EventType.DONE


async def test_closing_a_stream_early_leaves_the_provider_usable(provider: Provider) -> None:
    async with aclosing(provider.chat(make_request(QUESTION))) as events:
        first = await anext(events)
    assert first.type is EventType.TEXT_DELTA
    assert join_text(await collect_events(provider, QUESTION)) == TEXT


async def test_calls_run_side_by_side(provider: Provider) -> None:
    answers = await asyncio.gather(*(collect_events(provider, QUESTION) for _ in range(8)))
    assert {join_text(events) for events in answers} == {TEXT}


async def test_a_failure_is_one_error_event(limited_provider: Provider) -> None:
    (event,) = await collect_events(limited_provider, model="limited.before")
    assert event.type is EventType.ERROR
    assert event.error is not None
    assert event.error.kind is ErrorKind.RATE_LIMITED
    assert event.error.transient
