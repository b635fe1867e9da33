"""Agent workers: run turns against a language model."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes import LaneKind
from workers import runtime
from workers.app import app
from workers.base import LaneTask


@app.task(base=LaneTask, name="sigil.turn", kind=LaneKind.SESSION)
def turn(lane: str) -> None:
    """Answers the messages that wait in a session's lane."""
    runtime.run(Gateway.turn, lane)
