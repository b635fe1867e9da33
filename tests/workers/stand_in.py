"""A gateway whose steps a test controls, with the process around it."""

import asyncio
import threading
from collections.abc import Sequence

from sigil.host.process import Process


class StandIn(Process):
    """A process, its gateway and that one's leases in one, with steps that a test controls."""

    class Stores:
        counters = None

    def __init__(self) -> None:
        super().__init__(gateway=self, settings=None)  # type: ignore[arg-type]
        self.keeper = self
        self.sweeps = 0
        self.sweep_error: BaseException | None = None
        self.away: Exception | None = None
        self.taking = True
        self.handed_back = False
        self.closed = False
        self.started = threading.Event()
        self.finish = threading.Event()
        self.cancelled = 0
        self.working: set[asyncio.Task[object]] = set()
        self.wakeups = self
        self.woken: list[str] = []

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        self.woken += lanes
        self.together = together

    async def reach_store(self, within: float) -> None:
        if self.away is not None:
            raise self.away

    async def only_b_is_broken(self, lane: str) -> None:
        if lane.endswith("b"):
            raise ValueError(lane)

    async def slow_but_for_b(self, lane: str) -> None:
        if not lane.endswith("b"):
            await self.slow(lane)

    async def slow(self, lane: str) -> None:
        await self.wait_for(self.finish)

    async def wait_for(self, finish: threading.Event) -> None:
        self.working.add(asyncio.current_task())
        self.started.set()
        try:
            while not finish.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def recover(self) -> float | None:
        self.sweeps += 1
        if self.sweep_error is not None:
            raise self.sweep_error
        return 0.0

    async def prepare(self) -> None:
        pass

    async def flush_times(self) -> None:
        await asyncio.Event().wait()

    async def listen_for_stops(self) -> None:
        await asyncio.Event().wait()

    def stop_taking(self) -> None:
        self.taking = False

    async def hand_back(self) -> None:
        self.handed_back = True
        for task in self.working:
            task.cancel()

    async def close(self) -> None:
        self.closed = True
