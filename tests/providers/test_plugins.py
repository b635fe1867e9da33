"""Providers of others, which may do what no provider should: the chain still answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Usage
from sigil.providers.base import ModelInfo
from sigil.providers.chain import call, candidate
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.health import Health
from sigil.providers.fakes import FakeProvider
from sigil.providers.registry import ProviderRegistry
from sigil.stores import Stores
from sigil.testing import fake_stores

REQUEST = ChatRequest("", [Message("user", "Hello")])
HALF = ChatEvent(EventType.TEXT_DELTA, text="Hal")
DONE = ChatEvent(EventType.DONE, stop_reason="stop")
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


async def is_cancelled_inside(_: ChatRequest) -> AsyncIterator[ChatEvent]:
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
    "is cancelled inside": is_cancelled_inside,
}


def chain(plugin: Plugin, stores: Stores, **limits: float) -> FailoverProvider:
    candidates = [Candidate("plugin/m", {"": plugin}), Candidate("b/m", {"": FakeProvider("b")})]
    return FailoverProvider(candidates, health=Health(stores.health), **limits)


async def spoken(models: FailoverProvider) -> list[str]:
    async with asyncio.timeout(10):
        return [event.text or event.type.value async for event in models.chat(REQUEST)]


@pytest.mark.parametrize("answer", UNSOUND.values(), ids=UNSOUND.keys())
async def test_what_is_no_event_moves_on_and_counts(answer: Chat) -> None:
    stores = fake_stores()
    models = chain(Plugin(answer), stores)
    assert (await spoken(models))[-3:] == ["ok", "usage", "done"]
    failure = models.attempts[0].error
    assert failure is not None
    assert failure.kind is ErrorKind.SERVER
    assert SECRET not in str(failure)
    assert [cooldown.reason for cooldown in await stores.health.list_cooldowns()] == ["server"]


async def test_only_the_first_end_counts() -> None:
    twice = sends(*[ChatEvent(EventType.ERROR, error=ProviderError(text)) for text in "ab"])
    models = chain(Plugin(twice), fake_stores())
    assert await spoken(models) == ["ok", "usage", "done"]
    assert [str(attempt.error) for attempt in models.attempts] == ["a", "None"]
    after_the_end = chain(Plugin(sends(HALF, DONE, HALF)), fake_stores())
    assert await spoken(after_the_end) == ["Hal", "done"]


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
    assert await spoken(models) == ["Hal", "done"]
    assert [attempt.answered for attempt in models.attempts] == [True]


async def test_one_that_speaks_for_ever_has_its_deadline() -> None:
    async def babbles(_: ChatRequest) -> AsyncIterator[ChatEvent]:
        while True:
            yield HALF

    models = chain(Plugin(babbles), fake_stores(), model_call=0.05)
    assert (await spoken(models))[-4:] == ["restart", "ok", "usage", "done"]
    assert models.attempts[0].error.kind is ErrorKind.TIMEOUT


async def hangs() -> Any:
    await asyncio.Event().wait()


async def fails() -> Any:
    raise ValueError(SECRET)


async def says_nothing() -> Any:
    return None


@pytest.mark.parametrize("list_models", [hangs, fails, says_nothing])
async def test_one_that_cannot_tell_its_models_answers_all_the_same(
    list_models: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "LOCAL_ANSWER_S", 0.05)
    plugin = Plugin(sends(HALF, DONE))
    monkeypatch.setattr(plugin, "list_models", list_models)
    models = chain(plugin, fake_stores())
    assert await spoken(models) == ["Hal", "done"]
    assert (await models.list_models())[0] == ModelInfo("plugin/m")


@pytest.mark.parametrize("available", [hangs, fails])
async def test_one_that_cannot_tell_whether_it_is_there_is_passed_over(
    available: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "LOCAL_ANSWER_S", 0.05)
    plugin = Plugin(sends(HALF, DONE))
    monkeypatch.setattr(plugin, "available", available)
    assert await spoken(chain(plugin, fake_stores())) == ["ok", "usage", "done"]


class Closing(FakeProvider):
    closed = False

    async def aclose(self) -> None:
        self.closed = True
        if self.name == "broken":
            raise ValueError(SECRET)


async def test_one_that_cannot_be_closed_keeps_none_of_the_others_open() -> None:
    registry = ProviderRegistry()
    providers = [Closing("broken"), Closing("b")]
    for each in providers:
        registry.register(each.name, each)
    await registry.aclose()
    assert all(each.closed for each in providers)


async def test_one_that_cannot_be_prepared_does_not_end_its_worker() -> None:
    class Asked(FakeProvider):
        def model_info(self, model: str) -> ModelInfo:
            return ModelInfo(model)

        async def refresh_models(self) -> list[ModelInfo]:
            raise ValueError(SECRET)

    registry = ProviderRegistry()
    registry.register("a", Asked("a"))
    registry.set_default("a/m")
    await registry.prepare()
    assert await registry.info("a/m") == ModelInfo("m")


async def test_one_that_cannot_tell_its_models_says_so_in_one_class() -> None:
    plugin = Plugin(sends())
    plugin.list_models = fails  # type: ignore[method-assign]
    registry = ProviderRegistry()
    registry.register("a", plugin)
    with pytest.raises(
        ProviderError, match=r"a: its models are not known \(ValueError\)"
    ) as caught:
        await registry.list_models("a")
    assert caught.value.__context__ is None
