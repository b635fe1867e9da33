"""Chains over scripted providers, and the small things that tests say to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, ModelInfo, Usage
from sigil.providers.base import Provider
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.meter import Hold
from sigil.providers.fakes import ScriptedProvider

REQUEST = ChatRequest("ignored", [Message("user", "Hello")], max_tokens=1000)
HALF = ChatEvent(EventType.TEXT_DELTA, text="Hal")
DONE = ChatEvent(EventType.DONE, stop_reason="stop")


def failure(kind: ErrorKind = ErrorKind.SERVER, **more: Any) -> ProviderError:
    return ProviderError(f"failed with {kind}", kind=kind, **more)


def error_event(kind: ErrorKind = ErrorKind.SERVER) -> ChatEvent:
    return ChatEvent(EventType.ERROR, error=failure(kind))


def candidates(*providers: Provider) -> list[Candidate]:
    return [Candidate(f"{provider.name}/m", {"": provider}) for provider in providers]


def chain_of(*providers: Provider, **more: Any) -> FailoverProvider:
    return FailoverProvider(candidates(*providers), **more)


async def collect(provider: Provider, request: ChatRequest = REQUEST) -> list[ChatEvent]:
    async with asyncio.timeout(30):
        return [event async for event in provider.chat(request)]


async def brief(provider: Provider, request: ChatRequest = REQUEST) -> list[str]:
    """The events of an answer: each piece of text as it is, anything else by its type."""
    return [event.text or event.type.value for event in await collect(provider, request)]


def kinds(chain: FailoverProvider) -> list[ErrorKind | None]:
    """The class of each attempt's failure; None for one that was answered or cancelled."""
    return [None if each.error is None else each.error.kind for each in chain.attempts]


class Sized(ScriptedProvider):
    """A scripted provider whose models have a context of so many tokens."""

    def __init__(self, name: str, script: Iterable[Any], context: int) -> None:
        super().__init__(script, name)
        self.context = context

    def model_info(self, model: str) -> ModelInfo:
        return ModelInfo(model, max_context_tokens=self.context)

    async def refresh_models(self) -> list[ModelInfo]:
        return []


class Purse:
    """A meter over plain numbers. `error` is raised for the provider `dear`."""

    def __init__(self, max_tokens: int = 1000, error: Exception | None = None) -> None:
        self.max_tokens, self.error = max_tokens, error
        self.held: list[str] = []
        self.settled: list[tuple[str, Usage | None, int, bool]] = []
        self.unseen: list[bool] = []

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        if self.error is not None and model.startswith("dear"):
            raise self.error
        self.held.append(model)
        return Hold(model, 100, min(self.max_tokens, request.max_tokens))

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int:
        assert hold.id == model
        self.settled.append((model, usage, said, complete))
        self.unseen.append(hold.unseen)
        return 7
