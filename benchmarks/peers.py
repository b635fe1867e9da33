"""A model and a platform that note when they were called (CLOCK_MONOTONIC, shared by all
processes of a machine) in the file that BENCH_TIMES names."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

from benchmarks.wires import OPTIONS, WIRES
from sigil.channels.base import AccountContext, ChannelSpec, ChannelType, Chunk
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo


def _note(what: str, text: str) -> None:
    _write(f"{what} {time.monotonic()} {text.rsplit(maxsplit=1)[-1]}\n")


def _write(line: str) -> None:
    with open(os.environ["BENCH_TIMES"], "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(line)


class TimedModel:
    """Answers at once with the last word it was given."""

    def __init__(self, **_: Any) -> None:
        self.name = "timed"

    async def available(self) -> bool:
        """Always."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """One."""
        return [ModelInfo("timed")]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """One delta."""
        word = request.messages[-1].content.rsplit(maxsplit=1)[-1]
        _note("called", word)
        yield ChatEvent(EventType.TEXT_DELTA, text=word)
        yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
        _note("answered", word)
        yield ChatEvent(EventType.DONE, stop_reason="stop")


class SlowModel(TimedModel):
    """Answers after 0.2 s, during which it needs no CPU."""

    seconds = 0.2

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """One delta."""
        await asyncio.sleep(self.seconds)
        yield ChatEvent(EventType.TEXT_DELTA, text="word")
        yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
        yield ChatEvent(EventType.DONE, stop_reason="stop")


class TimedChannel(ChannelType):
    """Takes every chunk."""

    spec = ChannelSpec()
    sender = "benchmarks.peers:TimedSender"


class TimedSender:
    """Takes every chunk."""

    def __init__(self, context: AccountContext, settings: Any) -> None:
        self.name = context.name

    async def send(self, chunk: Chunk) -> str | None:
        """Notes the time."""
        _note("sent", chunk.message.content)
        return None

    async def close(self) -> None:
        """Holds nothing."""


class CountingChannel(ChannelType):
    """Takes every chunk and notes how many words it had."""

    spec = ChannelSpec(text_limit=1_000_000)
    sender = "benchmarks.peers:CountingSender"


class CountingSender(TimedSender):
    """Takes every chunk and notes how many words it had."""

    async def send(self, chunk: Chunk) -> str | None:
        """Notes the chat and the number of words."""
        words = len(chunk.message.content.split())
        _write(f"sent {chunk.message.channel_id} {words}\n")
        return None


class LiveChannel(CountingChannel):
    """Also shows drafts, as the web page does."""

    spec = ChannelSpec(text_limit=1_000_000, live=True)


def stream_reader(wire: str, **arguments: Any) -> Any:
    """Sigil's provider for an API of `benchmarks.wires`. Of each answer it notes its process and
    how many seconds after the vendor had written the first token it came out."""
    module, _, name = WIRES[wire].provider.partition(":")
    provider: Any = getattr(import_module(module), name)

    class Reader(provider):  # type: ignore[misc]
        def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
            return _Timed(super().chat(request))

    return Reader(**arguments, **OPTIONS.get(wire, {}))


class _Timed:
    """Looks at events until the first text, and is out of the way from then on."""

    def __init__(self, events: Any) -> None:
        self._events = events
        self._next: Callable[[], Awaitable[ChatEvent]] = self._look

    def __aiter__(self) -> _Timed:
        return self

    def __anext__(self) -> Awaitable[ChatEvent]:
        return self._next()

    async def aclose(self) -> None:
        await self._events.aclose()

    async def _look(self) -> ChatEvent:
        event: ChatEvent = await self._events.__anext__()
        if event.text:
            late = time.monotonic() - float(event.text.split()[0].lstrip("@"))
            _write(f"first {os.getpid()} {late}\n")
            self._next = self._events.__anext__
        return event
