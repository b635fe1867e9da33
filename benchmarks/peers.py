"""A model and a platform that note when they were called (CLOCK_MONOTONIC, shared by all
processes of a machine) in the file that BENCH_TIMES names."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from typing import Any

from sigil.channels.base import Capabilities, Chunk, Receive
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo, Usage


def _note(what: str, text: str) -> None:
    line = f"{what} {time.monotonic()} {text.rsplit(maxsplit=1)[-1]}\n"
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


class TimedChannel:
    """Takes every chunk."""

    capabilities = Capabilities()

    def __init__(self, name: str, settings: Any, stores: Any) -> None:
        self.name = name

    async def send(self, chunk: Chunk) -> str | None:
        """Notes the time."""
        _note("sent", chunk.message.content)
        return None

    async def listen(self, receive: Receive) -> None:
        """Nothing arrives by itself."""

    async def close(self) -> None:
        """Holds nothing."""
