"""Every fault of every vendor, before and after the first token: the person is answered, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.config.models import ModelOverride
from sigil.errors import ErrorKind
from sigil.messages import InboundMessage
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Provider
from sigil.providers.chain import attempt
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.registry import ModelRequest, ProviderRegistry
from sigil.testing import FakeProvider, MemoryChannel, fake_stores, settle
from tests.providers.exchange import KEY, TEXT, WORDS
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.faults import Case, cases
from tests.providers.vendors import Vendor, open_providers

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTHY = "This is the second's answer"
CASES = list(cases())
# Seconds. Where a first word must come before the silence, a busy machine needs a while.
NO_WORD, FIRST_WORD, LONG_SILENCE = 0.05, 0.25, 20.0
SILENT = {"silent", "no_headers"}
QUICK = {ErrorKind.NETWORK, ErrorKind.OVERLOADED}
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "_QUICK_PAUSE_S", (0.0, 0.001))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def providers(server: FaultServer) -> AsyncIterator[Mapping[str, Provider]]:
    async with open_providers(server) as providers:
        yield providers


@dataclass
class Told:
    """What a chain gave: what stands in the end, what came before, how often it started over."""

    final: str
    voided: str
    restarts: int
    last: ChatEvent


async def told(chain: FailoverProvider, *, stream: bool) -> Told:
    request = ChatRequest("ignored", [Message("user", "Hello")], max_tokens=64, stream=stream)
    final, voided, restarts = "", "", 0
    events: list[ChatEvent] = []
    async with asyncio.timeout(30):
        async for event in chain.chat(request):
            events.append(event)
            if event.type is EventType.RESTART:
                final, voided, restarts = "", voided + final, restarts + 1
            final += event.text
    ends = [event for event in events if event.type in {EventType.DONE, EventType.ERROR}]
    assert ends == events[-1:]
    return Told(final, voided, restarts, events[-1])


def chained(
    primary: Provider, model: str, *then: FakeProvider, quiet: float, call: float = 30
) -> FailoverProvider:
    """`small` can take no more than the model that nobody knows, which comes first."""
    registry = ProviderRegistry()
    registry.register("first", primary)
    registry.set_default(f"first/{model}")
    for fake in then:
        override = ModelOverride(max_context_tokens=8000) if fake.name == "small" else None
        registry.register(fake.name, fake, models={"model": override} if override else None)
    registry.set_failover([f"{fake.name}/model" for fake in then])
    return registry.chain(ModelRequest(), model_call=call, idle_stream=quiet)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
async def test_the_chain_answers_once(
    server: FaultServer, providers: Mapping[str, Provider], vendor: Vendor, case: Case
) -> None:
    small, second = FakeProvider("small", reply=HEALTHY), FakeProvider("second", reply=HEALTHY)
    follow = (small, second) if case.kind is ErrorKind.CONTEXT_TOO_LONG else (second,)
    quiet = FIRST_WORD if case.place == "mid" else NO_WORD
    quiet = quiet if case.fault in SILENT else LONG_SILENCE
    # An answer in one piece is no stream that could fall silent: it has the time of a call.
    call = quiet if case.place == "whole" else 30
    chain = chained(providers[vendor.name], case.model, *follow, quiet=quiet, call=call)
    calls_before = len(server.calls)

    answer = await told(chain, stream=case.place != "whole")

    assert [attempt.error_kind for attempt in chain.attempts if attempt.error] == [case.kind] * (
        0 if case.kind is None else 2 if case.kind in QUICK and case.place != "mid" else 1
    )
    assert len(server.calls) - calls_before == sum(
        attempt.model.startswith("first/") for attempt in chain.attempts
    )
    assert small.requests == []
    if case.kind in FINAL:
        assert answer.last.type is EventType.ERROR
        assert answer.last.error is not None
        assert answer.last.error.kind is case.kind
        assert second.requests == []
        return
    spoke = case.place == "mid" and case.kind is not None
    assert answer.last.type is EventType.DONE
    assert answer.final == (TEXT if case.kind is None else HEALTHY)
    assert (answer.restarts, answer.voided) == ((1, WORDS[0]) if spoke else (0, ""))
    assert len(second.requests) == (0 if case.kind is None else 1)


async def test_a_connection_that_is_refused_moves_on(vendor: Vendor) -> None:
    async with fault_server() as gone:
        provider = vendor.make(gone.url(vendor.wire))
    second = FakeProvider("second", reply=HEALTHY)
    chain = chained(provider, "model", second, quiet=LONG_SILENCE)
    answer = await told(chain, stream=True)
    assert (answer.final, answer.restarts) == (HEALTHY, 0)
    assert [attempt.error_kind for attempt in chain.attempts] == [ErrorKind.NETWORK] * 2 + [None]
    assert not any(attempt.error.reached for attempt in chain.attempts if attempt.error)
    await provider.aclose()


async def test_context_that_is_too_long_for_all_says_so(
    providers: Mapping[str, Provider], vendor: Vendor
) -> None:
    small = FakeProvider("small", reply=HEALTHY)
    chain = chained(providers[vendor.name], "too_long.before", small, quiet=LONG_SILENCE)
    answer = await told(chain, stream=True)
    assert answer.last.error is not None
    assert answer.last.error.kind is ErrorKind.CONTEXT_TOO_LONG
    assert small.requests == []


# Through the whole gateway


@asynccontextmanager
async def talking(
    server: FaultServer, vendor: Vendor, model: str, *then: FakeProvider
) -> AsyncIterator[MemoryChannel]:
    """Somebody has said hello to a gateway whose model is the vendor's, and then the others."""
    memory = MemoryChannel("memory")
    provider = {
        "type": vendor.type,
        "api_key": KEY,
        "base_url": server.url(vendor.wire),
        "options": dict(vendor.options),
    }
    failover = [f"{fake.name}/model" for fake in then]
    settings = {
        "channels": {"memory": {"pairing": "open"}},
        "providers": {vendor.name: provider},
        "models": {"default": f"{vendor.name}/{model}", "failover": failover},
        # The first call opens the client.
        "timeouts": {"idle_stream": 4 * FIRST_WORD if "silent" in model else LONG_SILENCE},
    }
    gateway = build(
        Settings.model_validate(settings),
        stores=fake_stores(),
        providers={fake.name: fake for fake in then},
        channels={"memory": memory},
    )
    try:
        await gateway.receive(InboundMessage("memory", "chat", "m-1", "ann", "Hello"))
        await settle(gateway)
        yield memory
    finally:
        await gateway.close()


@pytest.mark.parametrize(
    "fault", ["cut.mid", "ends_early.mid", "overloaded_event.mid", "silent.mid", "auth.before"]
)
async def test_the_person_gets_one_reply(server: FaultServer, vendor: Vendor, fault: str) -> None:
    calls_before = len(server.calls)
    second = FakeProvider("second", reply=HEALTHY)
    async with talking(server, vendor, fault, second) as memory:
        assert [message.content for message in memory.sent] == [HEALTHY]
    assert len(second.requests) == 1
    assert len(server.calls) == calls_before + 1


@pytest.mark.parametrize("fault", ["cut.mid", "limited.before", "invalid.before", "filtered.mid"])
async def test_when_nobody_can_answer_the_person_is_told_once(
    server: FaultServer, vendor: Vendor, fault: str
) -> None:
    async with talking(server, vendor, fault) as memory:
        (told_them,) = memory.sent
    assert 0 < len(told_them.content) < 300
    assert WORDS[0] not in told_them.content
    assert KEY not in told_them.content
