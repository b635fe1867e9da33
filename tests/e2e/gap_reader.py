"""A provider that also watches the event loop of its worker for gaps.

A gap is how much later than asked for the loop came back to a task. The time in which its thread
was ready to run and the machine gave it no processor is taken off: what is left is the process's
own, whether it computed or was blocked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from sigil.providers.base import ChatEvent, ChatRequest
from sigil.providers.openai import OpenAIProvider

EVERY_S, WORTH_NOTING_S = 0.005, 0.02

_watching: set[asyncio.Task[None]] = set()


def _read_delay() -> float:
    """How long this thread has waited for a processor so far, in seconds."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


async def _watch(path: Path) -> None:
    with path.open("a") as file:
        while True:
            started, delay = time.monotonic(), _read_delay()
            await asyncio.sleep(EVERY_S)
            now = time.monotonic()
            gap = now - started - EVERY_S - (_read_delay() - delay)
            if gap > WORTH_NOTING_S:
                file.write(f"{now} {gap}\n")
                file.flush()


class GapReader(OpenAIProvider):
    """Appends a line to the file that GAPS names for each gap: when it ended (CLOCK_MONOTONIC),
    and how long it was."""

    def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        if not _watching:
            _watching.add(asyncio.create_task(_watch(Path(os.environ["GAPS"]))))
        return super().chat(request)
