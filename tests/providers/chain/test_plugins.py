"""Providers of others, which may do what no provider should: the chain still answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Usage
from sigil.providers.chain import call
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.health import Health
from sigil.providers.chain.plugins import describe_error
from sigil.providers.fakes import FakeProvider
from sigil.stores import Stores
from sigil.testing import fake_stores
from tests.providers.chain.chains import DONE, HALF, brief, chain_of

SECRET = "sk-plugin-0123456789"

Chat = Callable[[ChatRequest], Any]


class Plugin(FakeProvider):
    """Answers as `answer` does."""

    def __init__(self, answer: Chat) -> None:
        super().__init__("plugin")
        self.answer = answer

    def chat(self, request: ChatRequest) -> Any:
        return self.answer(request)


def sends(*events: Any) -> Chat:
    async def chat(_: ChatRequest) -> AsyncIterator[Any]:
        for event in events:
            yield event

    return chat


async def raises(_: ChatRequest) -> AsyncIterator[ChatEvent]:
    yield HALF
    raise ValueError(SECRET)


async def cancels_its_own_work(_: ChatRequest) -> AsyncIterator[ChatEvent]:
    yield HALF
    work = asyncio.create_task(asyncio.sleep(0))
    work.cancel()
    await work


UNSOUND: dict[str, Chat] = {
    "text": sends("Hello"),
    "nothing": sends(None),
    "a dictionary": sends({"type": "text_delta", "text": "Hello"}),
    "a type of its own": sends(ChatEvent("bogus"), DONE),  # type: ignore[arg-type]
    "no text": sends(ChatEvent(EventType.TEXT_DELTA, text=None), DONE),  # type: ignore[arg-type]
    "no call": sends(ChatEvent(EventType.TOOL_CALL), DONE),
    "no usage": sends(HALF, ChatEvent(EventType.USAGE), DONE),
    "words for numbers": sends(HALF, ChatEvent(EventType.USAGE, usage=Usage("1")), DONE),  # type: ignore[arg-type]
    "a foreign error": sends(ChatEvent(EventType.ERROR, error=ValueError(SECRET))),  # type: ignore[arg-type]
    "a foreign class": sends(ChatEvent(EventType.ERROR, error=ProviderError("x", kind="odd"))),  # type: ignore[arg-type]
    "a list": lambda _: [HALF, DONE],
    "raises": raises,
    "is cancelled inside": cancels_its_own_work,
}


def chain(plugin: Plugin, stores: Stores, **limits: float) -> FailoverProvider:
    return chain_of(plugin, FakeProvider("b"), health=Health(stores.health), **limits)


@pytest.mark.parametrize("answer", UNSOUND.values(), ids=UNSOUND.keys())
async def test_what_is_no_event_moves_on_and_counts(answer: Chat) -> None:
    stores = fake_stores()
    models = chain(Plugin(answer), stores)
    assert (await brief(models))[-3:] == ["ok", "usage", "done"]
    failure = models.attempts[0].error
    assert failure is not None
    assert failure.kind is ErrorKind.SERVER
    assert SECRET not in str(failure)
    assert [cooldown.reason for cooldown in await stores.health.list_cooldowns()] == ["server"]


async def test_only_the_first_end_counts() -> None:
    twice = sends(*[ChatEvent(EventType.ERROR, error=ProviderError(text)) for text in "ab"])
    models = chain(Plugin(twice), fake_stores())
    assert await brief(models) == ["ok", "usage", "done"]
    assert [str(attempt.error) for attempt in models.attempts] == ["a", "None"]
    after_the_end = chain(Plugin(sends(HALF, DONE, HALF)), fake_stores())
    assert await brief(after_the_end) == ["Hal", "done"]


async def never(_: ChatRequest) -> AsyncIterator[ChatEvent]:
    try:
        yield HALF
        yield DONE
    finally:
        await asyncio.Event().wait()


async def speaks_on(_: ChatRequest) -> AsyncIterator[ChatEvent]:
    try:
        yield HALF
        yield DONE
    finally:
        yield HALF


async def breaks(_: ChatRequest) -> AsyncIterator[ChatEvent]:
    try:
        yield HALF
        yield DONE
    finally:
        raise ValueError(SECRET)


@pytest.mark.parametrize("answer", [never, speaks_on, breaks])
async def test_an_answer_stands_although_its_stream_cannot_be_closed(
    answer: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "_CLOSE_S", 0.05)
    models = chain(Plugin(answer), fake_stores())
    assert await brief(models) == ["Hal", "done"]
    assert [attempt.answered for attempt in models.attempts] == [True]


async def test_one_that_speaks_for_ever_has_its_deadline() -> None:
    async def babbles(_: ChatRequest) -> AsyncIterator[ChatEvent]:
        while True:
            yield HALF

    models = chain(Plugin(babbles), fake_stores(), model_call=0.05)
    assert (await brief(models))[-4:] == ["restart", "ok", "usage", "done"]
    assert models.attempts[0].error.kind is ErrorKind.TIMEOUT


async def test_one_that_raises_before_it_streams_moves_on_as_well() -> None:
    def raises_at_once(_: ChatRequest) -> Any:
        raise ValueError(SECRET)

    models = chain(Plugin(raises_at_once), fake_stores())
    assert await brief(models) == ["ok", "usage", "done"]
    assert str(models.attempts[0].error) == "plugin/m broke (ValueError)."


def test_only_sigils_own_errors_are_shown_in_their_words() -> None:
    assert describe_error(ProviderError("the vendor is away")) == "the vendor is away"
    assert describe_error(ValueError(SECRET)) == "ValueError"
