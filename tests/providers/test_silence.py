"""What is silence, and what is a model that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sigil.errors import ErrorKind
from sigil.providers import ChatEvent, ChatRequest, EventType, Message
from sigil.providers.chain.failover import Candidate, FailoverProvider
from sigil.providers.fakes import FakeProvider
from tests.providers.asking import asked
from tests.providers.fault_server import fault_server
from tests.providers.vendors import VENDORS, Vendor, open_providers

REQUEST = ChatRequest("", [Message("user", "Hello")])
IDLE_S = 0.2


class Thinker(FakeProvider):
    """Answers after `thoughts`, each of which takes half as long as a stream may be silent."""

    def __init__(self, thoughts: int, *, aloud: bool) -> None:
        super().__init__("a", reply="thought")
        self.thoughts, self.aloud = thoughts, aloud

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        for _ in range(self.thoughts):
            await asyncio.sleep(IDLE_S / 2)
            if self.aloud:
                request.heard()
        async for event in super().chat(request):
            yield event


async def answered(model: FakeProvider, request: ChatRequest = REQUEST) -> tuple[str, str]:
    """The text, and what became of the first attempt."""
    models = FailoverProvider(
        [Candidate("a/m", {"": model}), Candidate("b/m", {"": FakeProvider("b")})],
        idle_stream=IDLE_S,
        model_call=10 * IDLE_S,
    )
    text = "".join([event.text async for event in models.chat(request)])
    return text, str(models.attempts[0].error)


async def test_a_model_that_thinks_aloud_is_not_silent() -> None:
    assert await answered(Thinker(5, aloud=True)) == ("thought", "None")


async def test_one_that_cannot_be_heard_is_silent() -> None:
    assert await answered(Thinker(5, aloud=False)) == ("ok", "a/m was silent for 0.2 s.")


async def test_thinking_aloud_does_not_last_for_ever() -> None:
    assert await answered(Thinker(1000, aloud=True)) == ("ok", "a/m took longer than 2 s.")


async def test_an_answer_in_one_piece_may_take_as_long_as_a_call_may() -> None:
    whole = replace(REQUEST, stream=False)
    assert await answered(Thinker(5, aloud=False), whole) == ("thought", "None")
    failure = (await answered(Thinker(1000, aloud=False), whole))[1]
    assert failure == "a/m took longer than 2 s."


async def test_a_deadline_of_the_providers_own_is_not_taken_for_ours() -> None:
    class Hasty(FakeProvider):
        async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
            raise TimeoutError
            yield

    models = FailoverProvider([Candidate("a/m", {"": Hasty("a")})])
    assert [event.type async for event in models.chat(REQUEST)] == [EventType.ERROR]
    assert models.attempts[0].error_kind is ErrorKind.TIMEOUT
    assert str(models.attempts[0].error) == "a/m gave up waiting."


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
async def test_every_vendor_is_heard_before_it_speaks(vendor: Vendor) -> None:
    heard = asyncio.Event()
    async with fault_server() as server, open_providers(server) as providers:
        stream = providers[vendor.name].chat(asked(model="silent.before", heard=heard.set))
        reading = asyncio.create_task(anext(stream))
        async with asyncio.timeout(20):
            await heard.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
