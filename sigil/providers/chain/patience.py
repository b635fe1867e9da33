"""A deadline for each of many waits, at the price of one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Does what `asyncio.timeout_at` does, for one wait after another.

    `asyncio.timeout_at` sets a timer and cancels it again at every wait. For a stream, that costs
    a third of the other work on a token. Here deadlines mostly move forward, so one timer is left
    running. When it goes off and the deadline has moved meanwhile, it is set anew; otherwise the
    wait is cancelled, and `wait` turns that cancellation into a `TimeoutError`. `close` ends it.
    """

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off = 0.0
        self._until = 0.0
        self._waiter: asyncio.Task[object] | None = None
        self._is_late = False

    async def wait(self, what: Awaitable[T], until: float) -> T:
        """Returns the result of `what`. At `until` (the loop's time) cancels it and raises
        `TimeoutError`."""
        task = asyncio.current_task()
        assert task is not None
        cancellations_before = task.cancelling()
        self._waiter, self._until, self._is_late = task, until, False
        if self._timer is None or until < self._goes_off:
            self._start_timer()
        try:
            return await what
        except asyncio.CancelledError:
            # Somebody else may have cancelled the task in the same moment; then it stays so.
            if self._take_back_cancellation(task) and task.cancelling() <= cancellations_before:
                raise TimeoutError from None
            raise
        finally:
            self._take_back_cancellation(task)
            self._waiter = None

    def extend(self, until: float) -> None:
        """Moves the deadline of the wait that is under way; never to an earlier time."""
        self._until = until

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take_back_cancellation(self, task: asyncio.Task[object]) -> bool:
        """Whether the timer cancelled the wait. If so, the task no longer counts that as one."""
        was_late, self._is_late = self._is_late, False
        if was_late:
            task.uncancel()
        return was_late

    def _start_timer(self) -> None:
        self.close()
        self._goes_off = self._until
        self._timer = asyncio.get_running_loop().call_at(self._until, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self._waiter is None:
            return  # the next wait starts it again
        if asyncio.get_running_loop().time() < self._until:
            self._start_timer()
        else:
            self._is_late = True
            self._waiter.cancel()
