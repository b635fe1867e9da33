"""Routing workers: find out who speaks, and in which session."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes.lane import LaneKind
from workers.base import lane_task


@lane_task(LaneKind.INBOUND)
async def route(gateway: Gateway, lane: str) -> None:
    """Moves the messages that wait in a chat's lane to the lanes of their sessions."""
    await gateway.route(lane)
