"""A platform and a model that leave traces which survive `kill -9`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

from sigil.channels.base import AccountContext, ChannelSpec, ChannelType, Chunk
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo

SLOW = "slow"  # a message that ends with this word makes its model call outlast the lease
BLAST = "blast"  # and one that ends with this word ends the process that answers it


def is_deadly(text: str) -> bool:
    """Whether it ends each process that answers it."""
    return text.endswith(BLAST)


def append_line(path: str, entry: dict[str, Any]) -> None:
    """One write with O_APPEND: whole or not at all, whoever is killed meanwhile."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(file)


class FileChannel(ChannelType):
    """A platform that is a file."""

    spec = ChannelSpec()
    sender = "tests.chaos.peers:FileSender"


class FileSender:
    """Writes one line for each call of the platform, which takes up to `latency` seconds, half
    of the calls before the line and half after it: a worker can die on either side."""

    def __init__(self, context: AccountContext, settings: Any) -> None:
        self.name = context.name
        self._file = str(settings.options["file"])
        self._latency = float(settings.options.get("latency", 0.0))

    async def send(self, chunk: Chunk) -> str | None:
        before = random.random() < 0.5
        if before:
            await asyncio.sleep(random.uniform(0, self._latency))
        append_line(
            self._file,
            {
                "message": chunk.id.rpartition(".")[0],
                "chunk": chunk.id,
                "chat": chunk.message.channel_id,
                "text": chunk.message.content,
                "at": time.time(),
            },
        )
        if not before:
            await asyncio.sleep(random.uniform(0, self._latency))
        return chunk.id

    async def close(self) -> None:
        """Holds no connection."""


class ScriptedEcho:
    """Answers with the words it was given, so that a reply names the message it belongs to.

    A call takes up to `latency` seconds, or `slow` seconds for a message that asks for it; in one
    that is deadly the process ends, as by a fault in a library of C. `blasts` gets a line then.
    `calls` is a file that gets a line with the pid when a call begins; while the file `hold`
    exists, calls wait.
    """

    name = "scripted"

    def __init__(
        self,
        *,
        latency: float = 0.0,
        slow: float = 0.0,
        calls: str = "",
        hold: str = "",
        blasts: str = "",
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self._latency = latency
        self._slow = slow
        self._calls = calls
        self._hold = hold
        self._blasts = blasts

    async def available(self) -> bool:
        return True

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo("echo")]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        # The first line says where the message came from.
        text = request.messages[-1].content.partition("\n")[2]
        if self._calls:
            append_line(self._calls, {"pid": os.getpid(), "text": text})
        while self._hold and os.path.exists(self._hold):  # noqa: PTH110
            await asyncio.sleep(0.02)
        slow = text.endswith(SLOW)
        await asyncio.sleep(self._slow if slow else random.uniform(0, self._latency))
        if self._blasts and is_deadly(text):
            append_line(self._blasts, {"pid": os.getpid(), "text": text})
            os.kill(os.getpid(), signal.SIGKILL)
        yield ChatEvent(EventType.TEXT_DELTA, text=text)
        yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
        yield ChatEvent(EventType.DONE, stop_reason="stop")
