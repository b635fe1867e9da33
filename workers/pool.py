"""Celery's pool: runs tasks on the process's event loop, without pool threads.

    Celery's hub                                      the loop
    ────────────                                      ────────
    on_apply: a task's lanes ── runtime.submit ─────▶ a step for each lane
    report: callback, events ◀── hub.call_soon ────── a lane has ended: its slot is free

A slot is a lane, not a task: a wake-up may name many lanes, and each frees its slot when it ends
itself. What exceeds the limit is woken again at once, for other workers. Celery's callbacks run
on its hub only: they send events, which may block for as long as the broker does not answer, and
the loop must never wait.

Celery asks `num_processes` before it fetches a message, and does not fetch while all slots are
taken. Then its hub sleeps for up to a second, so a slot that becomes free wakes it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from billiard.einfo import ExceptionInfo
from celery.concurrency.base import BasePool
from celery.worker import state

from workers import runtime
from workers.base import LaneTask

log = structlog.get_logger(__name__)

LOOK_S = 1.0


class Job:
    """A task that runs. Celery keeps a weak reference to it, to terminate it on request."""

    def __init__(self, lanes: Sequence[str], callback: Callable[[Any], object]) -> None:
        self.lanes = lanes
        self.left = len(lanes)
        self.failure: BaseException | None = None
        self.is_terminated = False
        self._callback = callback
        self._started = time.monotonic()

    def terminate(self, signal: object = None) -> None:
        """Hands the task's lanes back. Celery has reported the task as revoked by now."""
        self.is_terminated = True
        _get_runtime().hand_back(self.lanes)

    def report(self) -> None:
        """Tells Celery how the task ended, as its tracer does: failed or not, result, seconds."""
        if self.is_terminated:
            return
        seconds = time.monotonic() - self._started
        if self.failure is None:
            self._callback((0, "None", seconds))
            return
        error = self.failure
        self._callback((1, ExceptionInfo((type(error), error, error.__traceback__)), seconds))


class LoopPool(BasePool):
    """Celery makes it by name (`worker_pool`). `limit` is how many lanes are in hand at once.

    Two threads count, and each has a count of its own, so that neither needs a lock: the hub
    counts lanes that were begun, the loop those that have ended.
    """

    signal_safe = False

    def __init__(self, limit: int, **options: Any) -> None:
        super().__init__(limit, **options)
        self.limit: int = limit
        self._begun = 0
        self._ended = 0
        self._jobs: set[Job] = set()
        self._to_report: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._hub: Any = None

    @property
    def in_hand(self) -> int:
        """How many lanes have begun and not ended."""
        return self._begun - self._ended

    @property
    def num_processes(self) -> int:
        """Celery fetches a message while it holds fewer tasks than this. A task is many lanes, so
        the answer moves along: one more than the tasks it holds for each slot that is free."""
        return len(state.reserved_requests) + max(0, self.limit - self.in_hand)

    # ------------------------------------------------------------ on Celery's hub

    def register_with_event_loop(self, loop: Any) -> None:
        """Is called at each new connection to the broker."""
        self._hub = loop

    def on_apply(
        self,
        target: object,
        args: Sequence[Any],
        kwargs: object = None,
        *,
        callback: Callable[[Any], object],
        accept_callback: Callable[[int, float], object],
        **options: Any,
    ) -> Job:
        """Begins a task; `args` are those of Celery's tracer, which is not used."""
        name, task_id, request = args[:3]
        accept_callback(os.getpid(), time.monotonic())
        task = self.app.tasks[name]
        lanes = self._keep_limit(_read_lanes(task, request))
        job = Job(lanes, callback)
        self._jobs.add(job)
        self._begun += len(lanes)
        if lanes:
            _get_runtime().submit(partial(task.work, task_id), lanes, partial(self._end_lane, job))
        else:
            self._report(job)
        return job

    def _keep_limit(self, lanes: Sequence[str]) -> Sequence[str]:
        """The lanes that there are slots for. The others are woken again, as many together as
        found slots here: workers that are full have few free at a time, and would send most of
        a large wake-up round once more."""
        room = max(0, self.limit - self.in_hand)
        if len(lanes) > room:
            _get_runtime().wake_again(lanes[room:], together=max(1, room))
        return lanes[:room]

    def _report_ended(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._report(self._to_report.get_nowait())

    def _report(self, job: Job) -> None:
        self._jobs.discard(job)
        try:
            job.report()
        except Exception as error:  # noqa: BLE001  # sending events raises what kombu's driver does
            log.warning("task not reported", error_type=type(error).__name__)

    def grow(self, n: int = 1) -> None:
        """Allows more lanes at once. Celery passes on what it is told, negative numbers too."""
        self.limit = max(1, self.limit + n)

    def shrink(self, n: int = 1) -> None:
        """Allows fewer lanes at once, but one. Those in hand go on."""
        self.grow(-n)

    def terminate_job(self, pid: int, signal: object = None) -> None:
        """Does nothing: the process is this one. `Job.terminate` is called after it."""

    def on_stop(self) -> None:
        """Waits until all tasks have ended, which the runtime's grace time bounds."""
        running = _get_runtime()
        running.drain()
        while self._jobs and running.is_running:
            with contextlib.suppress(queue.Empty):
                self._report(self._to_report.get(timeout=LOOK_S))

    def on_terminate(self) -> None:
        """Hands all lanes back."""
        _get_runtime().stop_soon(hurry=True)

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "lanes": self.in_hand}

    # ------------------------------------------------------------ on the loop

    def _end_lane(self, job: Job, error: BaseException | None) -> None:
        # Counted before it is looked at: the hub, which begins and then looks, sees the free slot
        # unless it is seen here that there was none.
        self._ended += 1
        was_full = self.in_hand + 1 >= self.limit
        job.left -= 1
        job.failure = job.failure or error
        if job.left == 0:
            self._to_report.put(job)
        if job.left == 0 or was_full:
            self._hub.call_soon(self._report_ended)


def _read_lanes(task: Any, request: Mapping[str, Any]) -> Sequence[str]:
    if isinstance(task, LaneTask):
        return task.read_lanes(request)
    log.warning("task refused", task=task.name, reason="not a task of Sigil's")
    return ()


def _get_runtime() -> runtime.Runtime:
    if runtime.current is None:
        raise RuntimeError("this process is not a Sigil worker")
    return runtime.current
