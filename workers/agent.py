"""Agent workers: run turns against a language model."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes.lane import LaneKind
from workers.base import lane_task


@lane_task(LaneKind.SESSION)
async def turn(gateway: Gateway, lane: str) -> None:
    """Answers the messages that wait in a session's lane."""
    await gateway.turn(lane)
