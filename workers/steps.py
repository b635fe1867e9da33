"""The steps that run on a worker's loop, and what becomes of them when the process stops.

Draining: no lane is taken any more; steps that run may finish within the grace time. Those that
are left are handed back: each ends its lease at once with its work undone, without a strike, so
that another worker goes on with the lane without waiting for the lease to run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from sigil.errors import SigilError
from sigil.gateway import Gateway

log = structlog.get_logger(__name__)

LaneWork = Callable[[Gateway, str], Awaitable[object]]
"""Works on the lane of this key with one of the gateway's verbs. One run of it is a step."""

HAND_BACK_S = 3.0


class Steps:
    """All steps of one gateway. Lives on the loop; `grace` is in seconds."""

    def __init__(self, gateway: Gateway, *, grace: float) -> None:
        self._gateway = gateway
        self._grace = grace
        self._running: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._drain: asyncio.Task[None] | None = None

    async def run(self, work: LaneWork, lane: str) -> None:
        """Runs a step in the current task, which a drain waits for or cancels."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await work(self._gateway, lane)
        finally:
            self._running.discard(task)

    def count_running(self) -> int:
        """How many steps run."""
        return len(self._running)

    def start_drain(self, *, hurry: bool) -> None:
        """Stops taking lanes. With `hurry`, or when called again, running steps get no grace."""
        if hurry or self._drain is not None:
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
