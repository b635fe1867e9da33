"""Routing workers: find out who speaks, and in which session."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes import LaneKind
from workers import runtime
from workers.app import app
from workers.base import LaneTask


@app.task(base=LaneTask, name="sigil.route", kind=LaneKind.INBOUND)
def route(lane: str) -> None:
    """Moves the messages that wait in a chat's lane to the lanes of their sessions."""
    runtime.run(Gateway.route, lane)
