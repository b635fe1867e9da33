"""What all tasks, and the consumer that feeds them, have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import structlog
from celery import Task
from celery.worker.consumer import Consumer

from sigil.errors import StoreError
from sigil.gateway import Gateway
from sigil.lanes.lane import LaneKind, lane_kind
from workers.app import app
from workers.queues import LANE_WORKERS
from workers.steps import LaneWork
from workers.wakeup import read_arguments

log = structlog.get_logger(__name__)

MAX_LANE_KEY_CHARS = 512


class TaskFailed(Exception):
    """Stands in for a bug: Celery and Flower see its class, never its message, which may quote
    what a person wrote."""


class LaneTask(Task):
    """A task that works on lanes of its `kind`. The pool (`workers.pool`) starts a step on the
    process's loop for each lane that a wake-up names.

    The broker is not trusted to hold anything else, so other arguments are refused. If the store
    is away the step ends, and the sweep brings the lane back: nothing is retried here, since the
    lane itself knows what is still to be done.
    """

    abstract = True
    acks_late = False
    ignore_result = True
    kind: ClassVar[LaneKind]

    def read_lanes(self, request: Mapping[str, Any]) -> list[str]:
        """The lanes that a task message names, each once. What else it holds is refused."""
        found = read_arguments(request)
        lanes = list(dict.fromkeys(value for value in found if _is_lane(value, self.kind)))
        if not found or not all(_is_lane(value, self.kind) for value in found):
            log.warning("task refused", task=self.name, reason="not a lane of this kind")
        return lanes

    async def work(self, task_id: str, gateway: Gateway, lane: str) -> None:
        """Works on one lane. Raises `TaskFailed` for a bug, and nothing else."""
        structlog.contextvars.bind_contextvars(task_id=task_id)
        try:
            await self.run(gateway, lane)
        except StoreError as error:
            log.warning("task put off", task=self.name, lane=lane, reason=error.code)
        except asyncio.CancelledError:  # it is handed back
            raise
        except BaseException as error:
            log.exception("task failed", task=self.name, lane=lane)
            raise TaskFailed(type(error).__name__) from None


def lane_task(kind: LaneKind) -> Callable[[LaneWork], LaneTask]:
    """Turns the work on lanes of this kind into their task; `LANE_WORKERS` has the task's name.

    @lane_task(LaneKind.SESSION)
    async def turn(gateway: Gateway, lane: str) -> None: ...
    """

    def make_task(work: LaneWork) -> LaneTask:
        name = LANE_WORKERS[kind].task
        return cast(LaneTask, app.task(work, base=LaneTask, name=name, kind=kind))

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
