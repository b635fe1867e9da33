"""One event loop per worker process, in a thread of its own, and the gateway that lives on it.

    Celery's thread                     the thread "loop"
    ───────────────                     ─────────────────
    pool ── submit(work, lanes) ──────▶ a step for each lane: the work, as a coroutine
    is told through its hub ◀── end ─── beside it: sweep, heartbeat, stop signals, times

Celery's consumer blocks and calls plain functions, but the core is asynchronous and its
connections belong to one loop. So there is one loop for the whole process, in a thread of its own,
which outlives every task. Celery's pool (`workers.pool`) hands steps over and waits for none of
them: hundreds of turns share one loop, one store client and one set of model clients.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Sequence

import structlog
import uvloop

from sigil.host.heartbeat import Heartbeat
from sigil.host.process import Chore, Process
from sigil.host.record import CountSlots, RecordKeeper
from workers.steps import LaneWork, StepEnd, Steps

log = structlog.get_logger(__name__)

# Longer than the gateway process's: workers often start together with a server that first loads
# its data, and nobody waits at a terminal for one of them.
STORE_WITHIN_S = 10.0
# After the grace time: to hand back, to flush and to close. Less than what compose and a
# container's platform allow on top of the grace.
STOP_MARGIN_S = 6.0
# So many new objects are looked through for cycles at a time. By Python's default of 700 that
# happens at every fourth message and is a twentieth of its work; hardly any cycle is ever found.
YOUNG_OBJECTS = 5_000


class Runtime:
    """`make` builds the process on its loop; `grace` is in seconds; `shows_turns`: it
    is an outbound worker. `on_end` is called after the loop has ended."""

    def __init__(
        self,
        make: Callable[[], Process],
        *,
        grace: float,
        shows_turns: bool = False,
        heartbeat: Heartbeat | None = None,
        record: RecordKeeper | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._make = make
        self._grace = grace
        self._shows_turns = shows_turns
        self._heartbeat = heartbeat
        self._record = record
        self._on_end = on_end
        # Holds the loop once the gateway is up, or the error that kept it from coming up.
        self._started: concurrent.futures.Future[asyncio.AbstractEventLoop] = (
            concurrent.futures.Future()
        )
        self._thread = threading.Thread(target=self._run_loop, name="loop", daemon=True)
        self._consuming = asyncio.Event()
        self._stopping = False

    # ------------------------------------------------------------ called from Celery's threads

    def start(self) -> None:
        """Returns when the gateway is up. Raises what building it raised, or `StoreError` if the
        store does not answer."""
        self._thread.start()
        self._loop = self._started.result()

    @property
    def is_running(self) -> bool:
        """Whether the loop still runs, so that every step that was submitted will end."""
        return self._thread.is_alive()

    def submit(self, work: LaneWork, lanes: Sequence[str], ended: StepEnd) -> None:
        """Starts a step for each lane. `ended` is called on the loop, once for each of them."""
        try:
            self._loop.call_soon_threadsafe(self._steps.start, work, lanes, ended)
        except RuntimeError:  # the loop is closed
            for _ in lanes:
                ended(None)

    def hand_back(self, lanes: Sequence[str]) -> None:
        """Ends the steps of these lanes, so that others work on them."""
        self._call(lambda: self._steps.hand_back(lanes))

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        """Has other workers look at these lanes soon."""
        self._steps.wake_again(lanes, together=together)

    def mark_ready(self, count_slots: CountSlots) -> None:
        """Says that tasks are being taken: from now on the process counts as alive."""
        self._count_slots = count_slots
        self._loop.call_soon_threadsafe(self._consuming.set)

    def stop_soon(self, *, hurry: bool = False) -> None:
        """Starts to drain; safe in a signal handler. A second call, or `hurry`, does not wait
        for running steps."""
        hurry = hurry or self._stopping
        if not self._stopping:
            self._stopping = True
            self._bound_stop()
        self._call(lambda: self._steps.start_drain(hurry=hurry))

    def _bound_stop(self) -> None:
        """Ends the process for certain when its time is over. Without that, Celery's consumer
        would wait several times for a broker that does not answer, 15 s each."""

        def end_process() -> None:
            log.warning("stopped without the store's answer", seconds=within)
            os._exit(os.EX_TEMPFAIL)

        within = self._grace + STOP_MARGIN_S
        self._last_resort = threading.Timer(within, end_process)
        self._last_resort.daemon = True
        self._last_resort.start()

    def drain(self) -> None:
        """Starts to drain, unless that was done already."""
        if not self._stopping:
            self.stop_soon()

    def stop(self) -> None:
        """Drains, closes the gateway and ends the loop."""
        self.stop_soon(hurry=True)
        self._call(self._end.set)
        self._thread.join()
        self._on_end()
        self._last_resort.cancel()

    def _call(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(callback)

    # ------------------------------------------------------------ in the loop's thread

    def _run_loop(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._run_process())
        except BaseException as error:  # an exit too: it would end this thread and nothing else
            if self._started.done():
                log.exception("event loop failed")
                os.kill(os.getpid(), signal.SIGTERM)  # a worker without a loop is useless
            else:
                self._started.set_exception(error)

    async def _run_process(self) -> None:
        self._end = asyncio.Event()
        process = self._make()
        self._steps = Steps(process.gateway, grace=self._grace)

        async def prepare() -> None:
            await process.gateway.prepare()
            # What is loaded by now stays for good. A full garbage collection would look through
            # all of it again: a fifth of a second in which nothing is streamed.
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS)

        async def keep_record() -> None:
            if self._record is not None:
                await self._consuming.wait()
                gateway = process.gateway
                await self._record.keep(
                    gateway.stores.fleet,
                    gateway.wakeups,
                    self._count_slots,
                    gateway.left_lanes.count,
                )

        chores: list[Chore] = [
            process.sweep_lanes,
            process.listen_for_stops,
            self._show_heartbeat,
        ]
        if self._shows_turns:
            chores.append(process.show_turns)
        async with process.run(*chores, prepare, keep_record, store_within=STORE_WITHIN_S):
            self._started.set_result(asyncio.get_running_loop())
            await self._end.wait()
            await self._steps.finish_drain()

    async def _show_heartbeat(self) -> None:
        if self._heartbeat is not None:
            await self._consuming.wait()
            await self._heartbeat.keep()


current: Runtime | None = None
