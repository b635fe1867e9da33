"""A deadline for each of many waits, at the price of one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Does what `asyncio.timeout_at` does, for one wait after the other.

    That one sets a timer and cancels it each time, which costs a third of what else a token of a
    stream costs. Deadlines here mostly move on, so one timer is left alone until it goes off, and
    is then set anew if there is still time. `close` ends it.
    """

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off = 0.0
        self._until = 0.0
        self._waits: asyncio.Task[object] | None = None
        self._late = False

    async def wait(self, what: Awaitable[T], until: float) -> T:
        """The result of `what`. Raises `TimeoutError`, and cancels it, at `until` (the loop's
        time)."""
        task = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        self._waits, self._until, self._late = task, until, False
        if self._timer is None or until < self._goes_off:
            self._set()
        try:
            return await what
        except asyncio.CancelledError:
            if self._ended_late(task) and task.cancelling() <= cancelled_before:
                raise TimeoutError from None
            raise
        finally:
            self._ended_late(task)
            self._waits = None

    def extend(self, until: float) -> None:
        """The wait that is under way may take until then, which is not earlier than before."""
        self._until = until

    def close(self) -> None:
        """No timer is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ended_late(self, task: asyncio.Task[object]) -> bool:
        """Whether the wait was cancelled from here; then that is taken back, once."""
        late, self._late = self._late, False
        if late:
            task.uncancel()
        return late

    def _set(self) -> None:
        self.close()
        self._goes_off = self._until
        self._timer = asyncio.get_running_loop().call_at(self._until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waits is None:
            return  # the next wait sets it
        if asyncio.get_running_loop().time() < self._until:
            self._set()
        else:
            self._late = True
            self._waits.cancel()
