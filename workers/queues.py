"""The queues, and who works on which kind of lane."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kombu import entity

from sigil.lanes.lane import LaneKind


class Queue(StrEnum):
    """Celery's queues, one per worker role, so that slow work cannot starve quick work."""

    ROUTING = "sigil.routing"
    """Milliseconds, Redis only: who speaks, to which session; commands that may not wait."""

    AGENT = "sigil.agent"
    """Seconds to minutes: turns, mostly waiting for models and tools. Nothing else."""

    OUTBOUND = "sigil.outbound"
    """Calls of chat platforms: sending, editing, their rate limits."""

    @property
    def role(self) -> str:
        """The worker role that serves this queue."""
        return self.value.removeprefix("sigil.")


@dataclass(frozen=True, slots=True)
class LaneWorker:
    """Who works on lanes of one kind: a Celery task, and the queue that its wake-ups go to."""

    task: str
    queue: Queue


LANE_WORKERS = {
    LaneKind.INBOUND: LaneWorker("sigil.route", Queue.ROUTING),
    LaneKind.SESSION: LaneWorker("sigil.turn", Queue.AGENT),
    LaneKind.DELIVERY: LaneWorker("sigil.deliver", Queue.OUTBOUND),
}

QUEUES = tuple(
    entity.Queue(queue.value, routing_key=queue.value)  # type: ignore[no-untyped-call]
    for queue in Queue
)
ROUTES = {worker.task: {"queue": worker.queue.value} for worker in LANE_WORKERS.values()}
