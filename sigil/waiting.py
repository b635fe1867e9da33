"""Ending tasks for certain, and calls of the store that outlast a short outage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from sigil.errors import LaneFull, SessionStale, StoreError

T = TypeVar("T")

AGAIN_S = 0.2
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels the tasks and returns when all have ended, whatever they ended with.

    It cancels again what goes on: `asyncio.wait_for`, which redis-py calls for each command,
    may swallow a cancellation before Python 3.12 (python/cpython issue 86296).
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)


async def insist(call: Callable[[], Awaitable[T]], within: float) -> T:
    """Repeats the call while the store does not answer, for `within` seconds, so that a short
    outage neither loses work nor repeats it."""
    deadline, pause = time.monotonic() + within, _FIRST_RETRY
    while True:
        try:
            return await call()
        except StoreError as error:
            # These two are answers: the same call would be given them again.
            is_answer = isinstance(error, LaneFull | SessionStale)
            if is_answer or not error.transient or time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LAST_RETRY)
