"""Thousands of chats wait behind a few slots: the broker's queue stays short, nobody else waits.

The run is small. `CROWD=5000 CROWD_SLOTS=20 CROWD_SECONDS=90` makes it the one of the issue.
"""

import asyncio
import os
import time

import pytest

from sigil.bootstrap import build
from sigil.gateway import Gateway
from sigil.lanes.effects import Stage
from sigil.lanes.fleet import MOST_WAKEUPS_WAITING
from tests.workers.gated import GatedStack, message
from tests.workers.stack import short_folder
from workers.publisher import wakeups
from workers.queues import Queue

CROWD = int(os.environ.get("CROWD", "300"))
SLOTS = int(os.environ.get("CROWD_SLOTS", "4"))
SECONDS = float(os.environ.get("CROWD_SECONDS", "4"))

SETTINGS = {
    "WORKERS__AGENT__CONCURRENCY": SLOTS,
    "LOGGING__LEVEL": "WARNING",
    # The model is silent for as long as the crowd is watched.
    "TIMEOUTS__IDLE_STREAM": 600,
    "TIMEOUTS__MODEL_CALL": 600,
}

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(90 + 2 * SECONDS + CROWD / 20),
    pytest.mark.xdist_group("fleets"),
]


async def test_a_crowd_behind_a_few_slots_holds_up_nobody_else():
    with (
        short_folder() as folder,
        GatedStack(folder, **SETTINGS) as stack,
    ):
        for role in ("routing", "agent", "outbound"):
            stack.worker(role)
        stack.hold()
        publisher = wakeups(stack.settings)
        gateway = build(stack.settings, wakeups=publisher)
        try:
            lengths, waits = [], []
            await accept(gateway, [f"t{number}" for number in range(CROWD)])
            async with asyncio.timeout(30 + CROWD / 20):
                while await sessions(gateway) < CROWD:
                    lengths.append(stack.waiting(Queue.AGENT))
                    await asyncio.sleep(0.02)
            until = time.monotonic() + SECONDS
            number = 0
            while time.monotonic() < until:
                number += 1
                waits.append(await route_one(gateway, f"late{number}"))
                for _ in range(10):
                    lengths.append(stack.waiting(Queue.AGENT))
                    await asyncio.sleep(0.02)
            assert stack.most_in_hand().popitem()[1] == SLOTS
            assert await gateway.wakeups.backlog(Stage.TURN) > MOST_WAKEUPS_WAITING
            stack.let_go()
            began = time.monotonic()
            async with asyncio.timeout(30 + CROWD / 20):
                while len(stack.lines("end")) < CROWD + number:
                    await asyncio.sleep(0.05)
            took = time.monotonic() - began
        finally:
            await gateway.close()
            publisher.close()
    print(f"most wake-ups in the queue {max(lengths)}; routing took {max(waits):.3f} s at most")
    print(f"{CROWD + number} turns took {took:.1f} s once they could")
    assert max(lengths) <= MOST_WAKEUPS_WAITING + 100
    # A wake-up that is lost takes 1.5 s, for the sweep.
    assert sorted(waits)[len(waits) // 2] < 0.5


async def accept(gateway: Gateway, texts: list[str]) -> None:
    gate = asyncio.Semaphore(64)

    async def one(text: str) -> None:
        async with gate:
            await gateway.receive(message(text))

    await asyncio.gather(*map(one, texts))


async def sessions(gateway: Gateway) -> int:
    """How many session lanes have work."""
    keys = gateway.stores.backend.keys
    due = await gateway.stores.backend.redis.zrange(f"{keys.prefix}lanes:due", 0, -1)
    return sum(lane.startswith(b"session:") for lane in due)


async def route_one(gateway: Gateway, text: str) -> float:
    """How many seconds a new message waits until it has reached its session."""
    began = time.monotonic()
    accepted = await gateway.receive(message(text))
    async with asyncio.timeout(10):
        while "route" not in (await gateway.stores.messages.get(accepted.id) or {}):
            await asyncio.sleep(0.01)
    return time.monotonic() - began
