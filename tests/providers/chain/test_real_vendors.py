"""The chain over the vendors' real providers, and a handful of their faults: what a person gets.

Which fault of which vendor ends in which class is the subject of the vendors' own tests, and what
a chain does with a class that of `test_failover`. Left for here is what needs both: deadlines that
end a connection, a fault that must not be tried again behind our back, a text that is taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.errors import ErrorKind
from sigil.messages.exchange import InboundMessage
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Provider
from sigil.providers.chain.failover import FailoverProvider
from sigil.testing import FakeProvider, MemoryChannel, fake_stores, settle
from tests.providers.chain.chains import chain_of, kinds
from tests.providers.exchange import KEY, TEXT, WORDS
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.faults import Case, cases
from tests.providers.vendors import VENDORS, Vendor, open_providers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("no_pauses")]

HEALTHY = "This is the second's answer"
# Seconds. A busy machine needs a while to send a request, and for a first word to come back.
QUIET, LONG_SILENCE = 0.3, 20.0
SILENT = {"silent", "no_headers"}
QUICK = {ErrorKind.NETWORK, ErrorKind.OVERLOADED}

APIS = {vendor.name: vendor for vendor in VENDORS}
CHOSEN = {
    "silent.before",
    "silent.mid",
    "silent.whole",
    "no_headers.before",
    "no_headers.whole",
    # What an SDK or a transport might try again by itself.
    "cut_without_headers.before",
    "status_408.before",
    "status_429.before",
    "status_500.whole",
    "overloaded_event.whole",
    # What is taken back, what ends the turn, and what is none at all.
    "cut.mid",
    "filtered.mid",
    "trickles.mid",
}
CASES = [case for case in cases() if case.model in CHOSEN]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def providers(server: FaultServer) -> AsyncIterator[Mapping[str, Provider]]:
    """One of each vendor for all tests: what a fault leaves behind must not harm the next."""
    async with open_providers(server) as opened:
        for provider in opened.values():
            # A silence is measured from the call on, and the first call would import the SDK.
            await provider.prepare()  # type: ignore[attr-defined]  # not of every provider
        yield opened


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Vendor:
    return APIS[request.param]


@dataclass
class Answer:
    """What a chain gave: what stands in the end, what came before, how often it started over."""

    final: str
    voided: str
    restarts: int
    last: ChatEvent


async def ask(chain: FailoverProvider, *, stream: bool = True) -> Answer:
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
    return Answer(final, voided, restarts, events[-1])


class Named(FakeProvider):
    """The vendor's provider, under a model that says how it is to fail."""

    def __init__(self, provider: Provider, model: str) -> None:
        super().__init__("first")
        self.provider, self.model = provider, model

    def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        return self.provider.chat(
            ChatRequest(
                self.model,
                request.messages,
                max_tokens=request.max_tokens,
                stream=request.stream,
                note_activity=request.note_activity,
            )
        )


async def test_every_chosen_fault_exists() -> None:
    assert {case.model for case in CASES} == CHOSEN


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
async def test_the_chain_answers_once(
    server: FaultServer, providers: Mapping[str, Provider], api: Vendor, case: Case
) -> None:
    second = FakeProvider("second", reply=HEALTHY)
    quiet = QUIET if case.fault in SILENT else LONG_SILENCE
    # An answer in one piece is no stream that could fall silent: it has the time of a call.
    call = quiet if case.place == "whole" else 30
    first = Named(providers[api.name], case.model)
    chain = chain_of(first, second, idle_stream=quiet, model_call=call)
    calls_before = len(server.calls)

    answer = await ask(chain, stream=case.place != "whole")

    attempts = 2 if case.kind in QUICK and case.place != "mid" else 1
    own = [attempt for attempt in chain.attempts if attempt.model == "first/m"]
    assert [attempt.error and attempt.error.kind for attempt in own] == [case.kind] * attempts
    assert len(server.calls) - calls_before == attempts
    if case.kind is ErrorKind.FILTERED:
        assert answer.last.error is not None
        assert second.requests == []
        return
    assert answer.final == (TEXT if case.kind is None else HEALTHY)
    spoke = case.place == "mid" and case.kind is not None
    assert (answer.restarts, answer.voided) == ((1, WORDS[0]) if spoke else (0, ""))
    assert len(second.requests) == (0 if case.kind is None else 1)


async def test_a_connection_that_is_refused_moves_on(api: Vendor) -> None:
    async with fault_server() as gone:
        provider = api.make(gone.url(api.wire))
    chain = chain_of(Named(provider, "model"), FakeProvider("second", reply=HEALTHY))
    answer = await ask(chain)
    assert (answer.final, answer.restarts) == (HEALTHY, 0)
    assert kinds(chain) == [ErrorKind.NETWORK] * 2 + [None]
    assert not any(attempt.error.reached for attempt in chain.attempts if attempt.error)
    await provider.aclose()


async def test_every_vendor_is_heard_before_it_speaks(
    providers: Mapping[str, Provider], api: Vendor
) -> None:
    heard = asyncio.Event()
    request = ChatRequest("silent.before", [Message("user", "Hello")], note_activity=heard.set)
    reading = asyncio.create_task(anext(providers[api.name].chat(request)))
    async with asyncio.timeout(20):
        await heard.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


# ------------------------------------------------------------------ through the whole gateway


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
        "timeouts": {"idle_stream": 3 * QUIET if "silent" in model else LONG_SILENCE},
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
    ("name", "fault"),
    [
        ("anthropic", "cut.mid"),
        ("openai", "ends_early.mid"),
        ("responses", "overloaded_event.mid"),
        ("google", "silent.mid"),
        ("anthropic", "auth.before"),
    ],
)
async def test_the_person_gets_one_reply(server: FaultServer, name: str, fault: str) -> None:
    calls_before = len(server.calls)
    second = FakeProvider("second", reply=HEALTHY)
    async with talking(server, APIS[name], fault, second) as memory:
        assert [message.content for message in memory.sent] == [HEALTHY]
    assert len(second.requests) == 1
    assert len(server.calls) == calls_before + 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("google", "auth.before"),
        ("openai", "invalid.before"),
        ("responses", "invalid.before"),
        ("anthropic", "filtered.mid"),
    ],
)
async def test_when_nobody_can_answer_the_person_is_told_once(
    server: FaultServer, name: str, fault: str
) -> None:
    async with talking(server, APIS[name], fault) as memory:
        (told_them,) = memory.sent
    assert 0 < len(told_them.content) < 300
    assert WORDS[0] not in told_them.content
    assert KEY not in told_them.content
