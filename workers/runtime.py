"""One event loop per worker process, in a thread of its own, and the gateway that lives on it.

Celery's pool threads hand their step to the loop and wait. The loop also sweeps for lanes
that nobody works on, shows that the process lives, and, when the process is to stop, lets
running steps finish for the grace time and hands back what is left.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from sigil.errors import SigilError
from sigil.gateway import Gateway
from sigil.host.heartbeat import EVERY_S, Heartbeat
from sigil.process import Process
from sigil.waiting import end

log = structlog.get_logger(__name__)

Step = Callable[[Gateway, str], Awaitable[object]]

SWEEP_EVERY_S = 1.0
READY_POLL_S = 0.1
SWEEP_PAUSE_S = 0.05  # even if something is always due
HAND_BACK_S = 3.0
STORE_WITHIN_S = 10.0


class Runtime:
    """`make` builds the gateway inside the loop; `grace` is in seconds; `on_end` is called after
    the loop's end."""

    def __init__(
        self,
        make: Callable[[], Process],
        *,
        grace: float,
        heartbeat: Heartbeat | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._make = make
        self._grace = grace
        self._heartbeat = heartbeat
        self._on_end = on_end
        self._born: concurrent.futures.Future[asyncio.AbstractEventLoop] = (
            concurrent.futures.Future()
        )
        self._thread = threading.Thread(target=self._live, name="loop", daemon=True)
        self._steps: set[asyncio.Task[None]] = set()
        self._consuming = threading.Event()
        self._stopping = threading.Event()
        self._drained: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Returns when the gateway is there; raises what building it raised, and `StoreError`
        if the store does not answer."""
        self._thread.start()
        self._loop = self._born.result()

    def run(self, step: Step, lane: str) -> None:
        """Runs one step on the loop and waits for it. Does nothing once the process stops:
        another worker's sweep finds the lane."""
        if self._stopping.is_set():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._step(step, lane), self._loop).result()
        except (concurrent.futures.CancelledError, RuntimeError):
            if not self._stopping.is_set():
                raise
            log.info("task.handed_back")

    def ready(self) -> None:
        """Tasks are being taken: from now on the process shows that it lives."""
        self._consuming.set()

    def stop_soon(self, *, hurry: bool = False) -> None:
        """Begins to drain; safe in a signal handler. A second call, or `hurry`, does not wait
        for running steps."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._drain_begins, hurry)

    def stop(self) -> None:
        """Drains, closes the gateway and ends the loop."""
        self.stop_soon(hurry=True)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._on_end()

    def _live(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._life())
        except Exception as error:
            if self._born.done():
                log.exception("worker.loop_failed")
                os.kill(os.getpid(), signal.SIGTERM)  # a worker without a loop is of no use
            else:
                self._born.set_exception(error)

    async def _life(self) -> None:
        self._end = asyncio.Event()
        self._hurry = asyncio.Event()
        self._process = self._make()
        self._gateway = self._process.gateway
        try:
            await self._process.reach_store(STORE_WITHIN_S)
            self._born.set_result(asyncio.get_running_loop())
            async with asyncio.TaskGroup() as group:
                chores = (self._sweep(), self._beat(), self._process.flush_times(), self._prepare())
                running = [
                    group.create_task(chore)
                    for chore in (*chores, self._process.listen_for_stops())
                ]
                await self._end.wait()
                if self._drained is not None:
                    await self._drained
                await end(running)
        finally:
            await self._process.close()

    async def _prepare(self) -> None:
        await self._gateway.prepare()
        # What is loaded by now stays. Each full collection would look through it again, a fifth
        # of a second in which nothing is streamed.
        gc.freeze()

    async def _step(self, step: Step, lane: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._steps.add(task)
        try:
            await step(self._gateway, lane)
        finally:
            self._steps.discard(task)

    async def _sweep(self) -> None:
        failing = False
        while True:
            due: float | None = None
            try:
                due = await self._gateway.recover()
                failing = False
            except SigilError as error:
                if not failing:  # once per outage
                    log.warning("sweep.failed", error=error.code)
                failing = True
            pause = SWEEP_EVERY_S if due is None else min(due, SWEEP_EVERY_S)
            await asyncio.sleep(max(pause, SWEEP_PAUSE_S))

    async def _beat(self) -> None:
        if self._heartbeat is None:
            return
        try:
            while True:
                if self._consuming.is_set():
                    await asyncio.to_thread(self._heartbeat.beat)
                await asyncio.sleep(EVERY_S if self._consuming.is_set() else READY_POLL_S)
        finally:
            self._heartbeat.end()

    def _drain_begins(self, hurry: bool) -> None:
        if hurry or self._stopping.is_set():
            self._hurry.set()
        if not self._stopping.is_set():
            self._stopping.set()
            self._gateway.keeper.stop_taking()
            self._drained = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        hurry = asyncio.ensure_future(self._hurry.wait())
        deadline = asyncio.get_running_loop().time() + self._grace
        while self._steps and not hurry.done():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await asyncio.wait(
                [*self._steps, hurry], timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        hurry.cancel()
        if not self._steps:
            return
        log.info("worker.hands_back", steps=len(self._steps))
        try:
            async with asyncio.timeout(HAND_BACK_S):
                await self._gateway.keeper.hand_back()
        except (SigilError, TimeoutError):
            log.warning("worker.hand_back_failed")  # the leases run out by themselves
        for step in self._steps:
            step.cancel()


current: Runtime | None = None


def run(step: Step, lane: str) -> None:
    """Runs a step on this process's runtime."""
    if current is None:
        raise RuntimeError("this process is no Sigil worker")
    current.run(step, lane)
