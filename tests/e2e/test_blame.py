"""Who is blamed when a worker dies: real processes, `kill -9`, and the strikes of the default."""

import asyncio
import os
import signal
import subprocess

import pytest

from sigil.bootstrap import build
from sigil.config.schema import LaneSettings
from sigil.gateway import Gateway
from tests.workers.gated import Collected, GatedStack
from tests.workers.stack import short_folder, wait_until

LEASE_S = float(os.environ.get("BLAME_LEASE", "2"))
SETTINGS = {
    "LANES__LEASE": LEASE_S,
    "LANES__RENEW": LEASE_S / 4,
    "LOGGING__LEVEL": "WARNING",
    # The model is silent for as long as the test likes.
    "TIMEOUTS__IDLE_STREAM": 600,
    "TIMEOUTS__MODEL_CALL": 600,
}
WITHIN_S = 30 + 3 * LEASE_S

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("fleets"),
]


class Agents:
    """Agent workers of one stack, one after the other, as `sigil up` restarts them."""

    def __init__(self, stack: GatedStack) -> None:
        self._stack = stack
        self.deaths = 0
        self.process = stack.worker("agent")

    def in_hand(self) -> list[str]:
        """What this process has begun, in order."""
        lines = self._stack.lines("begin")
        return [line["text"] for line in lines if line["pid"] == self.process.pid]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.deaths += 1

    def replace(self) -> subprocess.Popen[bytes]:
        self.kill()
        self.process = self._stack.worker("agent")
        return self.process


async def counts(gateway: Gateway) -> dict[str, int]:
    [day] = (await gateway.stores.lanes.counts()).values()
    return {name: day.get(name, 0) for name in ("accepted", "answered", "dead")}


async def test_a_message_that_ends_its_process_dies_alone() -> None:
    """`deadly` ends the process that begins it, like a fault in a library of C. At first it does so
    while 30 others are in hand."""
    innocents = [f"innocent-{number}" for number in range(30)]
    with short_folder() as folder, GatedStack(folder, **SETTINGS) as stack:
        assert stack.settings.lanes.max_strikes == LaneSettings().max_strikes == 3
        gateway = build(stack.settings, wakeups=Collected())
        try:
            stack.hold()
            stack.hold("deadly")
            agents = Agents(stack)
            stack.wake_together(await stack.route(gateway, ["deadly", *innocents]))
            for _ in range(2):
                wait_until(lambda: len(agents.in_hand()) == 31, within=WITHIN_S)
                agents.replace()
            stack.let_go()

            async with asyncio.timeout(5 * WITHIN_S):
                while sum((ended := await counts(gateway)).values()) < 62:
                    if "deadly" in agents.in_hand():
                        agents.replace()
                    await asyncio.sleep(0.05)
            assert ended == {"accepted": 31, "answered": 30, "dead": 1}
            assert agents.deaths == 5
            assert (await gateway.stores.lanes.verify(deep=True))["balanced"]
        finally:
            await gateway.close()


async def test_lanes_that_were_lost_once_all_run_again_together() -> None:
    """A machine that dies may have held hundreds of lanes. None of them waits for another."""
    texts = [f"t{number}" for number in range(200)]
    with short_folder() as folder, GatedStack(folder, **SETTINGS) as stack:
        gateway = build(stack.settings, wakeups=Collected())
        try:
            stack.hold()
            agents = Agents(stack)
            stack.wake_together(await stack.route(gateway, texts))
            wait_until(lambda: len(agents.in_hand()) == len(texts), within=WITHIN_S)
            successor = Agents(stack)
            agents.kill()
            took = wait_until(lambda: len(set(successor.in_hand())) == len(texts), within=WITHIN_S)
            print(f"all {len(texts)} ran again {took:.1f} s after the kill; a lease is {LEASE_S} s")
        finally:
            await gateway.close()
