"""A model that tells when each turn runs, and ends it when the test says so."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo


class GatedModel:
    """Repeats the message. A call waits while the file `hold` exists, or one named `hold-` and the
    message. `calls` gets a line when a call begins and one when it ends."""

    name = "gated"

    def __init__(self, *, calls: str, hold: str, **_: Any) -> None:
        self._calls = Path(calls)
        self._hold = hold

    async def available(self) -> bool:
        return True

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo("echo")]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        # The first line says where the message came from.
        text = request.messages[-1].content.partition("\n")[2]
        self._write("begin", text)
        try:
            while any(map(os.path.exists, (self._hold, f"{self._hold}-{text}"))):
                await asyncio.sleep(0.02)
        finally:
            self._write("end", text)
        yield ChatEvent(EventType.TEXT_DELTA, text=text)
        yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
        yield ChatEvent(EventType.DONE, stop_reason="stop")

    async def aclose(self) -> None:
        """Holds no connection."""

    def _write(self, what: str, text: str) -> None:
        line = json.dumps({"what": what, "pid": os.getpid(), "text": text, "at": time.monotonic()})
        with self._calls.open("a") as file:
            file.write(line + "\n")
