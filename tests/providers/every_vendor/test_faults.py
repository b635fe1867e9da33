"""Every fault, of every vendor, before and after the first token: each ends in its class."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Provider
from tests.providers.exchange import KEY, REQUEST_ID, TEXT, WORDS
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.faults import RETRY_AFTER, Case, cases
from tests.providers.vendors import Vendor, made

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "A word that only these two know"
# What is silent needs a deadline, which is the chain's; see test_failover_matrix.
ENDING = [case for case in cases() if case.fault not in {"silent", "no_headers"}]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def providers(server: FaultServer) -> AsyncIterator[Mapping[str, Provider]]:
    """One of each vendor for all tests: what a fault leaves behind must not harm the next."""
    async with made(server) as providers:
        yield providers


@pytest.fixture
def provider(vendor: Vendor, providers: Mapping[str, Provider]) -> Provider:
    return providers[vendor.name]


def asked(model: str, *, stream: bool = True) -> ChatRequest:
    return ChatRequest(model, [Message("user", PROMPT)], max_tokens=64, stream=stream)


async def collected(provider: Provider, case: Case) -> list[ChatEvent]:
    request = asked(case.model, stream=case.place != "whole")
    async with asyncio.timeout(30):
        return [event async for event in provider.chat(request)]


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if event.type is EventType.TEXT_DELTA)


def everything_in(error: BaseException) -> str:
    """All that a log or a report could show of an error."""
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            shown.append(everything_in(cause))
    return "\n".join(shown)


@pytest.mark.parametrize("case", ENDING, ids=lambda case: case.model)
async def test_a_fault_ends_in_its_class(provider: Provider, case: Case) -> None:
    events = await collected(provider, case)
    ends = [event for event in events if event.type in {EventType.DONE, EventType.ERROR}]
    assert ends == events[-1:]
    assert sum(event.type is EventType.USAGE for event in events) <= 1
    error = events[-1].error
    if case.kind is None:
        assert (error, text_of(events)) == (None, TEXT)
        return
    assert isinstance(error, ProviderError)
    assert (error.kind, error.provider) == (case.kind, provider.name), str(error)
    if case.place == "mid":
        assert text_of(events) == WORDS[0]
    if error.status is not None and case.place != "mid" and "html" not in case.fault:
        assert error.request_id == REQUEST_ID
    shown = everything_in(error)
    assert KEY not in shown
    assert PROMPT not in shown
    assert len(str(error)) < 1000
    assert "\n" not in str(error)


@pytest.mark.parametrize("place", ["before", "whole"])
async def test_a_vendor_says_how_long_to_wait(provider: Provider, place: str) -> None:
    for fault, seconds in (("limited_for", RETRY_AFTER), ("limited", None)):
        error = (await collected(provider, Case(fault, place, None)))[-1].error
        assert error is not None
        assert error.retry_after == seconds


@pytest.mark.parametrize("fault", ["ends_early", "cut", "overloaded_event", "malformed"])
async def test_what_was_spent_on_a_broken_stream_is_told(
    provider: Provider, vendor: Vendor, fault: str
) -> None:
    events = await collected(provider, Case(fault, "mid", None))
    types = [EventType.USAGE] if vendor.wire.counts_early else []
    assert [event.type for event in events[1:]] == [*types, EventType.ERROR]
    if vendor.wire.counts_early:
        assert events[1].usage == vendor.wire.usage


async def test_nobody_there_is_a_network_error_that_reached_nobody(vendor: Vendor) -> None:
    async with fault_server() as gone:
        provider = vendor.make(gone.url(vendor.wire))
    (event,) = await collected(provider, Case("status_500", "before", None))
    await provider.aclose()
    assert event.error is not None
    assert (event.error.kind, event.error.reached) == (ErrorKind.NETWORK, False)
    assert KEY not in everything_in(event.error)
