"""The deadlines of a call: what is silence, what takes too long, and what is neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from sigil.errors import ErrorKind
from sigil.providers import ChatEvent, ChatRequest, EventType
from sigil.providers.chain.health import Health
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.stores import Stores
from tests.providers.chain.chains import DONE, HALF, REQUEST, brief, chain_of, collect, kinds

LATE = ChatEvent(EventType.TEXT_DELTA, text="late")
IDLE_S = 0.2


class Waiting(FakeProvider):
    """Says something, then nothing more; `pulse` seconds of silence between, or for ever."""

    def __init__(self, name: str = "waiting", pulse: float | None = None, says: int = 1) -> None:
        super().__init__(name)
        self.pulse, self.says = pulse, says
        self.waits = asyncio.Event()
        self.closed = False

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        try:
            for _ in range(self.says):
                yield HALF
            while self.pulse is not None:
                await asyncio.sleep(self.pulse)
                yield HALF
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.closed = True


class Thinker(FakeProvider):
    """Answers after `thoughts`, each of which takes half as long as a stream may be silent."""

    def __init__(self, thoughts: int, *, aloud: bool) -> None:
        super().__init__("a", reply="thought")
        self.thoughts, self.aloud = thoughts, aloud

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        for _ in range(self.thoughts):
            await asyncio.sleep(IDLE_S / 2)
            if self.aloud:
                request.note_activity()
        async for event in super().chat(request):
            yield event


async def ask(
    model: FakeProvider, request: ChatRequest = REQUEST, *, model_call: float = 30
) -> tuple[str, str]:
    """The text, and what became of the first attempt."""
    chain = chain_of(model, FakeProvider("b"), idle_stream=IDLE_S, model_call=model_call)
    text = "".join([event.text for event in await collect(chain, request)])
    return text, str(chain.attempts[0].error)


# ------------------------------------------------------------------ silence


async def test_silence_is_a_timeout() -> None:
    waiting = Waiting()
    chain = chain_of(waiting, FakeProvider("b"), idle_stream=0.02)
    assert await brief(chain) == ["Hal", "restart", "ok", "usage", "done"]
    assert waiting.closed
    assert kinds(chain) == [ErrorKind.TIMEOUT, None]
    assert "silent" in str(chain.attempts[0].error)


async def test_a_model_that_thinks_aloud_is_not_silent() -> None:
    assert await ask(Thinker(3, aloud=True)) == ("thought", "None")


async def test_one_that_cannot_be_heard_is_silent() -> None:
    assert await ask(Thinker(3, aloud=False)) == ("ok", "a/m was silent for 0.2 s.")


async def test_thinking_aloud_does_not_last_for_ever() -> None:
    thinker = Thinker(1000, aloud=True)
    assert await ask(thinker, model_call=0.3) == ("ok", "a/m took longer than 0.3 s.")


async def test_a_slow_reader_is_not_a_silent_model() -> None:
    chain = chain_of(ScriptedProvider([[HALF, HALF, DONE]], "a"), idle_stream=0.01)
    types = []
    async for event in chain.chat(REQUEST):
        types.append(event.type)
        await asyncio.sleep(0.03)
    assert types[-1] is EventType.DONE


# ------------------------------------------------------------------ the deadline of the call


async def test_an_answer_in_one_piece_may_take_as_long_as_a_call_may() -> None:
    whole = replace(REQUEST, stream=False)
    assert await ask(Thinker(3, aloud=False), whole) == ("thought", "None")
    error = (await ask(Thinker(1000, aloud=False), whole, model_call=0.1))[1]
    assert error == "a/m took longer than 0.1 s."


@pytest.mark.parametrize("pulse", [0.001, 0])
async def test_a_trickle_does_not_outlive_the_deadline(pulse: float) -> None:
    waiting = Waiting(pulse=pulse)
    chain = chain_of(waiting, FakeProvider("b"), model_call=0.05)
    assert (await brief(chain))[-4:] == ["restart", "ok", "usage", "done"]
    assert waiting.closed
    assert kinds(chain) == [ErrorKind.TIMEOUT, None]
    assert "longer" in str(chain.attempts[0].error)


async def test_a_flood_that_never_waits_does_not_outlive_the_deadline() -> None:
    flood = Waiting(says=10**9)
    chain = chain_of(flood, FakeProvider("b"), model_call=0.02)
    last = [event.type async for event in chain.chat(REQUEST)][-1]
    assert last is EventType.DONE
    assert flood.closed


async def test_a_deadline_of_the_providers_own_is_not_taken_for_ours() -> None:
    class Hasty(FakeProvider):
        async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
            raise TimeoutError
            yield

    chain = chain_of(Hasty("a"))
    assert await brief(chain) == ["error"]
    assert kinds(chain) == [ErrorKind.TIMEOUT]
    assert str(chain.attempts[0].error) == "a/m gave up waiting."


# ------------------------------------------------------------------ the end


async def test_nothing_comes_after_the_end() -> None:
    chain = chain_of(ScriptedProvider([[HALF, DONE, LATE, DONE]], "a"))
    assert await brief(chain) == ["Hal", "done"]


async def test_thoughts_alone_move_on_and_do_not_count_against_the_model(shared: Stores) -> None:
    thought = ChatEvent(EventType.DONE, stop_reason="length")
    provider = ScriptedProvider([[thought]], "a")
    chain = chain_of(provider, FakeProvider("b"), health=Health(shared.health))
    assert await brief(chain) == ["ok", "usage", "done"]
    assert await shared.health.list_cooldowns() == []


async def test_a_usage_that_comes_with_the_end_counts() -> None:
    end = DONE._replace(usage=(await collect(FakeProvider("x")))[1].usage)
    chain = chain_of(ScriptedProvider([[HALF, end]], "a"))
    assert await brief(chain) == ["Hal", "done"]
    assert chain.attempts[0].usage == end.usage


async def test_cancelling_closes_the_candidate_and_stays_a_cancellation() -> None:
    waiting, after = Waiting(), FakeProvider("b")
    chain = chain_of(waiting, after)
    task = asyncio.create_task(collect(chain))
    await asyncio.wait_for(waiting.waits.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waiting.closed
    assert after.requests == []
    (attempt,) = chain.attempts
    assert (attempt.answered, attempt.error) == (False, None)


async def test_closing_early_closes_the_candidate() -> None:
    waiting = Waiting()
    chain = chain_of(waiting)
    async with aclosing(chain.chat(REQUEST)) as events:
        assert (await anext(events)).text == "Hal"
    assert waiting.closed
    assert len(chain.attempts) == 1
