"""What all tasks, and the consumer that feeds them, have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, cast

import structlog
from celery import Task
from celery.worker.consumer import Consumer

from sigil.errors import StoreError
from sigil.lanes.lane import LaneKind, lane_kind
from workers import runtime
from workers.app import app
from workers.queues import LANE_WORKERS
from workers.steps import LaneWork

log = structlog.get_logger(__name__)

MAX_LANE_KEY_CHARS = 512


class TaskFailed(Exception):
    """Stands in for a bug: Celery and Flower see its class, never its message, which may quote
    what a person wrote."""


class LaneTask(Task):
    """A task with one argument, the key of a lane of its `kind`: a wake-up.

    The broker is not trusted to hold anything else, so other arguments are refused. If the store
    is away the task ends, and the sweep brings the lane back: nothing is retried here, since the
    lane itself knows what is still to be done.
    """

    abstract = True
    acks_late = False
    ignore_result = True
    kind: ClassVar[LaneKind]

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Runs the task's body for the lane."""
        lane = args[0] if len(args) == 1 and not kwargs else None
        if not _is_lane(lane, self.kind):
            log.warning("task refused", task=self.name, reason="not a lane of this kind")
            return
        with structlog.contextvars.bound_contextvars(task_id=self.request.id, lane=lane):
            try:
                self.run(lane)
            except StoreError as error:
                log.warning("task put off", task=self.name, reason=error.code)
            except Exception as error:
                log.exception("task failed", task=self.name)
                raise TaskFailed(type(error).__name__) from None


def lane_task(kind: LaneKind) -> Callable[[LaneWork], LaneTask]:
    """Turns the work on lanes of this kind into their task; `LANE_WORKERS` has the task's name.

    The task runs the work on this process's runtime and waits for it:

        @lane_task(LaneKind.SESSION)
        async def turn(gateway: Gateway, lane: str) -> None: ...

        turn("session:…")                  as Celery calls it
    """

    def make_task(work: LaneWork) -> LaneTask:
        @wraps(work)
        def run_work(lane: str) -> None:
            runtime.run(work, lane)

        name = LANE_WORKERS[kind].task
        return cast(LaneTask, app.task(run_work, base=LaneTask, name=name, kind=kind))

    return make_task


def _is_lane(value: object, kind: LaneKind) -> bool:
    if not isinstance(value, str) or len(value) > MAX_LANE_KEY_CHARS:
        return False
    try:
        return lane_kind(value) is kind
    except ValueError:
        return False


class QuietConsumer(Consumer):
    """Workers have nothing to tell each other, so they neither gossip nor greet at the start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"without_gossip": True, "without_mingle": True}))
