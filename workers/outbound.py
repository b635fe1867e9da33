"""Outbound workers: send replies to their platforms."""

from __future__ import annotations

from sigil.gateway import Gateway
from sigil.lanes.lane import LaneKind
from workers.base import lane_task


@lane_task(LaneKind.DELIVERY)
async def deliver(gateway: Gateway, lane: str) -> None:
    """Sends the messages that wait in a destination's lane."""
    await gateway.deliver(lane)
