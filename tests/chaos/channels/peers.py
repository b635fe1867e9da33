"""A model that answers so that each answer names the message it belongs to."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator

from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo

MARK = re.compile(r"\bc\d{3}-\d{3}\b")


class Namer:
    """Answers in a few pieces, over up to `latency` seconds."""

    name = "namer"

    def __init__(
        self, *, latency: float = 0.0, api_key: str | None = None, base_url: str | None = None
    ) -> None:
        self._latency = latency

    async def available(self) -> bool:
        return True

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo("echo")]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        (*_, mark) = MARK.findall(request.messages[-1].content)
        for piece in (mark, " is what you **wrote**,", " and this is `all`."):
            await asyncio.sleep(random.uniform(0, self._latency / 3))
            yield ChatEvent(EventType.TEXT_DELTA, text=piece)
        yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
        yield ChatEvent(EventType.DONE, stop_reason="stop")
