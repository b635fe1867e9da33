"""Sends wake-ups: one thread, one open connection.

A wake-up says "look at these lanes" and nothing else; what is to be done stands in the lanes. So
a wake-up may be lost (the sweep finds the lane) or doubled (the second worker finds it taken), and
`wake` can promise never to block and never to fail: what does not fit, or cannot be sent, is
dropped and counted.

    wake ──▶ waits here, by stage ──▶ some 64 wake-ups in the stage's queue ──▶ workers
             a lane waits once        each names what waited here, up to `lanes_per_wakeup`

The queue is kept short, since a wake-up in it cannot be taken back: workers that are too busy would
be woken again and again for the same lanes. While it is full, lanes wait here and go on as soon as
there is room, many in one wake-up. So workers never stand idle while lanes wait. When a lane has
fallen due for the sweep, which wakes it as soon as there is room, it is forgotten here: else lanes
that were served long ago would hold up those that were not.

Writing the messages here instead of calling Celery's `send_task` costs a tenth.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any

import structlog

from sigil.config import Settings
from sigil.errors import StoreError
from sigil.lanes.effects import Stage
from sigil.lanes.fleet import MOST_WAKEUPS_WAITING, WOKEN_STAGES
from sigil.lanes.lane import lane_kind
from workers.broker import transport_options, url
from workers.broker_queues import BrokerQueues
from workers.queues import LANE_WORKERS, LaneWorker
from workers.wakeup import MOST_TOGETHER, build_message, encode_message

log = structlog.get_logger(__name__)

MAX_WAITING = 10_000
FLUSH_S = 2.0
ANSWER_S = 1.0
LOOK_AGAIN_S = 0.02  # at a queue that was full
AWAY_S = 0.2
# How long the sweep leaves alone what a commit woke, and what it has woken itself: FIRST_PUT_OFF
# and LAST_PUT_OFF of the lanes' scripts.
KEEP_S, KEEP_AGAIN_S = 1.5, 8.0

_WORKERS = {kind.stage: worker for kind, worker in LANE_WORKERS.items()}


# Lanes, the oldest first: until when to keep them, and the most to name in one wake-up with them.
Waiting = dict[str, tuple[float, int]]


class Publisher:
    """Implements `sigil.lanes.lane.Wakeups`. `limit` is how many lanes of a stage wait here."""

    def __init__(self, broker: str, options: dict[str, Any], *, limit: int = MAX_WAITING) -> None:
        self.sent = 0
        self.dropped = 0
        # Stays at one until every live worker understands more.
        self.lanes_per_wakeup = 1
        self._queues = BrokerQueues(broker, options)
        self._limit = limit
        self._waiting: dict[Stage, Waiting] = {stage: {} for stage in WOKEN_STAGES}
        self._full: dict[Stage, float] = {}  # stages whose queue is full: when to look again
        self._questions: list[tuple[Stage, Future[int]]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._failing = False
        self._thread: threading.Thread | None = None

    def wake(self, lane: str) -> None:
        """Has some worker look at the lane soon; best effort."""
        with self._changed:
            self._add(lane, time.monotonic() + KEEP_S, MOST_TOGETHER)

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        """Has workers look at lanes that were woken before; best effort. At most so many of them
        go into one wake-up."""
        until = time.monotonic() + KEEP_AGAIN_S
        with self._changed:
            for lane in lanes:
                self._add(lane, until, together)

    def _add(self, lane: str, until: float, together: int) -> None:
        try:
            stage = lane_kind(lane).stage
        except ValueError:  # of a newer version, whose processes wake it
            self.dropped += 1
            return
        waiting = self._waiting[stage]
        if self._closing or len(waiting) >= self._limit:
            self.dropped += 1
            return
        waiting.setdefault(lane, (until, together))
        if stage not in self._full:
            self._notify()

    async def backlog(self, stage: Stage) -> int:
        """How many wake-ups wait in this stage's queue, and how many lanes wait here for room in
        it. Raises `StoreError` if the broker does not answer."""
        answer: Future[int] = Future()
        with self._changed:
            if self._closing:
                raise StoreError("no wake-ups are sent any more.")
            self._questions.append((stage, answer))
            self._notify()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.wrap_future(answer)
        except Exception as error:  # kombu lets its driver's errors through
            raise StoreError(f"the broker did not answer ({type(error).__name__}).") from error

    def close(self, within: float = FLUSH_S) -> None:
        """Sends what there is room for, for `within` seconds at most. Later ones are dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(within)

    def _notify(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)
            self._thread.start()
        self._changed.notify()

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        while (work := self._wait_for_work()) is not None:
            questions, stages = work
            for stage, answer in questions:
                self._answer(stage, answer)
            for stage in stages:
                self._send_waiting(stage)
        self._queues.close()

    def _wait_for_work(self) -> tuple[list[tuple[Stage, Future[int]]], list[Stage]] | None:
        """Questions to answer and stages to send for. None when closing and nothing can be sent."""
        with self._changed:
            while True:
                now = time.monotonic()
                looks = {s: self._full.get(s, 0.0) for s, lanes in self._waiting.items() if lanes}
                stages = [stage for stage, look_at in looks.items() if look_at <= now]
                if stages or self._questions:
                    questions, self._questions = self._questions, []
                    return questions, stages
                if self._closing:
                    self.dropped += sum(map(len, self._waiting.values()))
                    return None
                self._changed.wait(min(looks.values()) - now if looks else None)

    def _answer(self, stage: Stage, answer: Future[int]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            length = self._queues.length(_WORKERS[stage].queue)
        except Exception as error:  # noqa: BLE001  # kombu lets its driver's errors through
            self._queues.close()
            answer.set_exception(error)
        else:
            answer.set_result(length + len(self._waiting[stage]))

    def _send_waiting(self, stage: Stage) -> None:
        lanes: Waiting = {}
        try:
            room = MOST_WAKEUPS_WAITING + 1
            if stage in self._full:
                room -= self._queues.length(_WORKERS[stage].queue)
            lanes = self._take(stage, room * self.lanes_per_wakeup)
            sent = self._push(_WORKERS[stage], _group(lanes, self.lanes_per_wakeup)[:room])
        except Exception as error:  # noqa: BLE001  # kombu lets its driver's errors through
            self._drop(stage, len(lanes), error)
        else:
            self._keep(stage, dict(islice(lanes.items(), sent, None)))
            self.sent += sent
            if self._failing:
                self._failing = False
                log.info("wake-ups sent again", dropped=self.dropped)

    def _push(self, worker: LaneWorker, groups: Sequence[Sequence[str]]) -> int:
        """Sends a wake-up for each group until the queue is full. Returns how many lanes were
        sent."""
        if not groups:
            return 0
        queue = worker.queue
        messages = [encode_message(queue.value, *build_message(worker.task, g)) for g in groups]
        sent = self._queues.push(queue, messages, most_waiting=MOST_WAKEUPS_WAITING)
        return sum(map(len, groups[:sent]))

    def _take(self, stage: Stage, most: int) -> Waiting:
        """The lanes that have waited longest, `most` of them. Forgets those before them that have
        waited for too long."""
        now = time.monotonic()
        lanes: Waiting = {}
        with self._changed:
            waiting, forgotten = self._waiting[stage], []
            for lane, (until, together) in waiting.items():
                if len(lanes) >= most:
                    break
                if until < now:
                    forgotten.append(lane)
                else:
                    lanes[lane] = (until, together)
            for lane in [*lanes, *forgotten]:
                del waiting[lane]
            self.dropped += len(forgotten)
        return lanes

    def _keep(self, stage: Stage, lanes: Waiting) -> None:
        """Puts back what there was no room for, in front of what has come since."""
        with self._changed:
            if lanes:
                self._waiting[stage] = lanes | self._waiting[stage]
            if self._waiting[stage] and (lanes or stage in self._full):
                self._full[stage] = time.monotonic() + LOOK_AGAIN_S
            else:
                self._full.pop(stage, None)

    def _drop(self, stage: Stage, count: int, error: Exception) -> None:
        self._queues.close()
        with self._changed:
            self.dropped += count
            if stage in self._full:
                self._full[stage] = time.monotonic() + AWAY_S
        if not self._failing:  # once per outage
            self._failing = True
            log.warning("wake-ups not sent", count=count, error_type=type(error).__name__)


def _group(lanes: Waiting, together: int) -> list[list[str]]:
    """Those that go into one wake-up."""
    groups: list[list[str]] = []
    for lane, (_, most) in lanes.items():
        if groups and len(groups[-1]) < min(most, together):
            groups[-1].append(lane)
        else:
            groups.append([lane])
    return groups


def wakeups(settings: Settings) -> Publisher:
    """Wake-ups for these settings' broker. Connects on first use; `close()` it at the end."""
    return Publisher(url(settings), transport_options(settings))
