"""Outbound workers: send replies to their platforms."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes import LaneKind
from workers import runtime
from workers.app import app
from workers.base import LaneTask


@app.task(base=LaneTask, name="sigil.deliver", kind=LaneKind.DELIVERY)
def deliver(lane: str) -> None:
    """Sends the messages that wait in a destination's lane."""
    runtime.run(Gateway.deliver, lane)
