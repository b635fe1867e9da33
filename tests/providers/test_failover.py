from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from sigil.errors import AllProvidersUnavailable, BudgetExceeded, ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, ToolCall, Usage
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.fakes import FakeProvider, ScriptedProvider

REQUEST = ChatRequest("ignored", [Message("user", "Hello")])
HALF = ChatEvent(EventType.TEXT_DELTA, text="Hal")
CALL = ChatEvent(EventType.TOOL_CALL, tool_call=ToolCall("c", "add"))
SPENT = ChatEvent(EventType.USAGE, usage=Usage(3, 2))
LATE = ChatEvent(EventType.TEXT_DELTA, text="late")
END = ChatEvent(EventType.DONE, stop_reason="stop")

FAILING_OVER = set(ErrorKind) - {ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED}


def failed(kind: ErrorKind = ErrorKind.SERVER) -> ProviderError:
    return ProviderError(f"failed with {kind}", kind=kind)


def error_event(kind: ErrorKind = ErrorKind.SERVER) -> ChatEvent:
    return ChatEvent(EventType.ERROR, error=failed(kind))


def chain(*providers: object, **limits: float) -> FailoverProvider:
    return FailoverProvider([Candidate(f"{p.name}/m", {"": p}) for p in providers], **limits)


async def collected(provider: FailoverProvider) -> list[ChatEvent]:
    return [event async for event in provider.chat(REQUEST)]


def brief(events: list[ChatEvent]) -> list[str]:
    return [event.text or event.type.value for event in events]


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


async def test_the_first_that_answers_is_the_answer() -> None:
    first, second = FakeProvider("a", reply="one"), FakeProvider("b", reply="two")
    models = chain(first, second)
    assert brief(await collected(models)) == ["one", "usage", "done"]
    assert first.requests[0].model == "m"
    assert second.requests == []
    (attempt,) = models.attempts
    assert (attempt.model, attempt.answered, getattr(attempt.error, "kind", None)) == (
        "a/m",
        True,
        None,
    )
    assert attempt.usage == Usage(1, 1)
    assert attempt.seconds >= 0


@pytest.mark.parametrize("kind", sorted(FAILING_OVER))
async def test_failures_move_on(kind: ErrorKind) -> None:
    models = chain(ScriptedProvider([failed(kind)] * 2, "a"), FakeProvider("b"))
    assert brief(await collected(models)) == ["ok", "usage", "done"]
    calls = [("a/m", kind), ("b/m", None)]
    if kind in {ErrorKind.NETWORK, ErrorKind.OVERLOADED}:  # perhaps over in a moment
        calls.insert(0, calls[0])
    assert [(a.model, getattr(a.error, "kind", None)) for a in models.attempts] == calls


@pytest.mark.parametrize(
    "error",
    [
        failed(ErrorKind.INVALID_REQUEST),
        failed(ErrorKind.FILTERED),
        BudgetExceeded("the budget is used up", window="day"),
    ],
)
async def test_what_no_other_model_would_do_better_is_final(error: ProviderError) -> None:
    after = FakeProvider("b")
    models = chain(ScriptedProvider([[HALF, ChatEvent(EventType.ERROR, error=error)]], "a"), after)
    events = await collected(models)
    assert brief(events) == ["Hal", "error"]
    assert events[-1].error is error
    assert after.requests == []


@pytest.mark.parametrize("said", [HALF, CALL])
@pytest.mark.parametrize("rest", [[], [error_event()]], ids=["breaks off", "fails"])
async def test_a_candidate_that_had_spoken_is_taken_back(
    said: ChatEvent, rest: list[ChatEvent]
) -> None:
    models = chain(ScriptedProvider([[said, SPENT, *rest]], "a"), FakeProvider("b"))
    events = await collected(models)
    assert brief(events)[1:] == ["usage", "restart", "ok", "usage", "done"]
    assert models.attempts[0].usage == SPENT.usage


async def test_a_candidate_that_had_not_spoken_needs_no_taking_back() -> None:
    models = chain(ScriptedProvider([[SPENT]], "a"), FakeProvider("b"))
    assert brief(await collected(models)) == ["usage", "ok", "usage", "done"]
    assert models.attempts[0].error.kind is ErrorKind.NETWORK


async def test_a_provider_that_raises_moves_on_without_showing_what() -> None:
    models = chain(
        ScriptedProvider([RuntimeError("private")], "a"),
        ScriptedProvider([[HALF, ChatEvent(EventType.ERROR)]], "b"),
    )
    events = await collected(models)
    assert isinstance(events[-1].error, AllProvidersUnavailable)
    assert [getattr(a.error, "kind", None) for a in models.attempts] == [
        ErrorKind.SERVER,
        ErrorKind.SERVER,
    ]
    assert "RuntimeError" in str(events[-1].error)
    assert "private" not in str(events[-1].error)


async def test_a_provider_that_raises_before_it_streams_moves_on_as_well() -> None:
    class AtOnce(FakeProvider):
        def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
            raise ValueError("private")

    provider = chain(AtOnce("a"), FakeProvider("b"))
    assert brief(await collected(provider)) == ["ok", "usage", "done"]
    assert "ValueError" in str(provider.attempts[0].error)
    assert "private" not in str(provider.attempts[0].error)


async def test_when_all_fail_one_error_names_each() -> None:
    models = chain(
        ScriptedProvider([failed(ErrorKind.OVERLOADED)] * 2, "a"),
        FakeProvider("b", available=False),
        ScriptedProvider([[HALF, error_event()]], "c"),
    )
    events = await collected(models)
    assert brief(events) == ["Hal", "error"]
    error = events[-1].error
    assert isinstance(error, AllProvidersUnavailable)
    assert list(error.causes) == ["a/m", "b/m", "c/m"]
    assert "overloaded" in error.causes["a/m"]
    assert [a.model for a in models.attempts] == ["a/m", "a/m", "c/m"]


async def test_a_candidate_is_tried_once_in_a_turn() -> None:
    broken = ScriptedProvider([failed(), "never"], "a")
    working = FakeProvider("b")
    models = FailoverProvider(
        [Candidate(f"{p.name}/m", {"": p}) for p in (broken, broken, working)]
    )
    for _ in range(2):
        assert brief(await collected(models)) == ["ok", "usage", "done"]
    assert (len(broken.requests), len(working.requests)) == (1, 2)


async def test_it_is_available_while_one_candidate_is() -> None:
    lonely = chain(FakeProvider("a", available=False), ScriptedProvider([failed()], "b"))
    assert await lonely.available()
    await collected(lonely)
    assert not await lonely.available()


async def test_models_are_listed_under_their_full_names() -> None:
    known = FakeProvider("a")
    models = FailoverProvider(
        [Candidate("a/model", {"": known}), Candidate("a/other", {"": known})]
    )
    listed = await models.list_models()
    assert [(model.id, model.tools) for model in listed] == [("a/model", True), ("a/other", False)]


async def test_nothing_comes_after_the_end() -> None:
    models = chain(ScriptedProvider([[HALF, END, LATE, END]], "a"))
    assert brief(await collected(models)) == ["Hal", "done"]


async def test_silence_is_a_timeout() -> None:
    waiting = Waiting()
    models = chain(waiting, FakeProvider("b"), idle_stream=0.02)
    assert brief(await collected(models)) == ["Hal", "restart", "ok", "usage", "done"]
    assert waiting.closed
    assert models.attempts[0].error.kind is ErrorKind.TIMEOUT
    assert "silent" in str(models.attempts[0].error)


@pytest.mark.parametrize("pulse", [0.001, 0])
async def test_a_trickle_does_not_outlive_the_deadline(pulse: float) -> None:
    waiting = Waiting(pulse=pulse)
    models = chain(waiting, FakeProvider("b"), model_call=0.05)
    assert brief(await collected(models))[-4:] == ["restart", "ok", "usage", "done"]
    assert waiting.closed
    assert models.attempts[0].error.kind is ErrorKind.TIMEOUT
    assert "longer" in str(models.attempts[0].error)


async def test_a_flood_that_never_waits_does_not_outlive_the_deadline() -> None:
    flood = Waiting(says=10**9)
    models = chain(flood, FakeProvider("b"), model_call=0.02)
    last = [event.type async for event in models.chat(REQUEST)][-1]
    assert last is EventType.DONE
    assert flood.closed


async def test_a_slow_reader_is_not_a_silent_model() -> None:
    models = chain(ScriptedProvider([[HALF, HALF, END]], "a"), idle_stream=0.01)
    types = []
    async for event in models.chat(REQUEST):
        types.append(event.type)
        await asyncio.sleep(0.03)
    assert types[-1] is EventType.DONE


async def test_cancelling_closes_the_candidate_and_stays_a_cancellation() -> None:
    waiting, after = Waiting(), FakeProvider("b")
    models = chain(waiting, after)
    task = asyncio.create_task(collected(models))
    await asyncio.wait_for(waiting.waits.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waiting.closed
    assert after.requests == []
    (attempt,) = models.attempts
    assert (attempt.answered, attempt.error) == (False, None)


async def test_closing_early_closes_the_candidate() -> None:
    waiting = Waiting()
    models = chain(waiting)
    async with aclosing(models.chat(REQUEST)) as events:
        assert (await anext(events)).text == "Hal"
    assert waiting.closed
    assert len(models.attempts) == 1
