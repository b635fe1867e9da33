"""Routing workers: who speaks, and in which session."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes import LaneKind
from workers import runtime
from workers.app import app
from workers.base import LaneTask


@app.task(base=LaneTask, name="sigil.route", kind=LaneKind.INBOUND)
def route(lane: str) -> None:
    """Moves what waits in one chat's lane to the lanes of its sessions."""
    runtime.run(Gateway.route, lane)
