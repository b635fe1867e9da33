"""The steps that run on a worker's loop, and what becomes of them when the process stops.

Draining: no lane is taken any more; steps that run may finish within the grace time. Those that
are left are handed back: each ends its lease at once with its work undone, without a strike, so
that another worker goes on with the lane without waiting for the lease to run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from sigil.errors import SigilError
from sigil.gateway import Gateway
from sigil.waiting import end

log = structlog.get_logger(__name__)

LaneWork = Callable[[Gateway, str], Coroutine[Any, Any, object]]
"""Works on the lane of this key with one of the gateway's verbs. One run of it is a step."""

StepEnd = Callable[[BaseException | None], object]
"""Is told that a step has ended, and with which error. A step that was handed back has none."""

HAND_BACK_S = 3.0


class Steps:
    """All steps of one gateway. Lives on the loop; `grace` is in seconds."""

    def __init__(self, gateway: Gateway, *, grace: float) -> None:
        self._gateway = gateway
        self._grace = grace
        self._running: dict[asyncio.Task[object], str] = {}
        self._hurry = asyncio.Event()
        self._drain: asyncio.Task[None] | None = None
        self._handing_back: set[asyncio.Task[None]] = set()

    def start(self, work: LaneWork, lanes: Sequence[str], ended: StepEnd) -> None:
        """Starts a step for each lane. Each tells `ended` by itself. While the process stops,
        the lanes are woken for other workers instead."""
        if self._drain is not None:
            self.wake_again(lanes, together=len(lanes))
            for _ in lanes:
                ended(None)
            return
        for lane in lanes:
            task = asyncio.get_running_loop().create_task(work(self._gateway, lane))
            self._running[task] = lane
            task.add_done_callback(partial(self._end_step, ended))

    def _end_step(self, ended: StepEnd, task: asyncio.Task[object]) -> None:
        lane = self._running.pop(task)
        if task.cancelled():
            log.info("task handed back", lane=lane)
        ended(None if task.cancelled() else task.exception())

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        """Has other workers look at these lanes soon. May be called from any thread."""
        self._gateway.wakeups.wake_again(lanes, together=together)

    def hand_back(self, lanes: Collection[str]) -> None:
        """Ends the steps of these lanes. Each gives its lane back with its work undone."""
        tasks = [task for task, lane in self._running.items() if lane in lanes]
        handing_back = asyncio.get_running_loop().create_task(end(tasks))
        self._handing_back.add(handing_back)
        handing_back.add_done_callback(self._handing_back.discard)

    def start_drain(self, *, hurry: bool) -> None:
        """Stops taking lanes. With `hurry`, running steps get no grace, or no more of it."""
        if hurry:
            self._hurry.set()
        if self._drain is None:
            self._gateway.keeper.stop_taking()
            self._drain = asyncio.get_running_loop().create_task(self._finish_steps())

    async def finish_drain(self) -> None:
        """Returns when a drain that was started has ended, or at once."""
        if self._drain is not None:
            await self._drain

    async def _finish_steps(self) -> None:
        loop = asyncio.get_running_loop()
        hurry = asyncio.ensure_future(self._hurry.wait())
        deadline = loop.time() + self._grace
        while self._running and not hurry.done():
            left = deadline - loop.time()
            if left <= 0:
                break
            await asyncio.wait(
                [*self._running, hurry], timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        hurry.cancel()
        if not self._running:
            return
        log.info("handing lanes back", steps=len(self._running))
        try:
            async with asyncio.timeout(HAND_BACK_S):
                await self._gateway.keeper.hand_back()
        except (SigilError, TimeoutError) as error:
            # The leases run out by themselves, and then another worker takes the lanes.
            log.warning("lanes not handed back", error_type=type(error).__name__)
        for task in self._running:
            task.cancel()
