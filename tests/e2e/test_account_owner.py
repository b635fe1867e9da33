"""Two gateway processes, one account: one of them listens, the other takes over."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from sigil.channels.account_leases import AccountRecord
from sigil.stores.base import Stores
from tests.inbound.toy import Platform, serve
from tests.workers.stack import Stack, short_folder, wait_until

CONFIG = """
channels:
  toy: {{type: "tests.inbound.toy:ToyType", options: {{url: "{url}"}}}}
"""
TAKEN_OVER_WITHIN_S = 15.0


@pytest.fixture
def platform() -> Platform:
    return Platform(most=400, every=0.02)


@pytest.fixture
def stack(platform: Platform) -> Iterator[Stack]:
    with serve(platform) as url, short_folder() as folder:
        config = CONFIG.format(url=url)
        with Stack(folder, config, GATEWAY__PORT=0) as stack:
            yield stack


def start_gateway(stack: Stack, name: str) -> subprocess.Popen[bytes]:
    return stack.start("sigil", "gateway", log=f"{name}.log")


def is_held_by(stack: Stack, process: subprocess.Popen[bytes]) -> bool:
    [record], _ = read(stack)
    return record.process.endswith(f":{process.pid}")


def read(stack: Stack) -> tuple[list[AccountRecord], dict[str, int]]:
    """What is said of the account, and how many messages were accepted and were duplicates."""

    async def look() -> tuple[list[AccountRecord], dict[str, int]]:
        async with stack.gateway() as gateway:
            stores: Stores = gateway.stores
            days = await stores.lanes.counts()
            total: dict[str, int] = {}
            for day in days.values():
                for name, count in day.items():
                    total[name] = total.get(name, 0) + count
            return list(await stores.accounts.list(["toy"])), total

    return asyncio.run(look())


@pytest.mark.slow
@pytest.mark.valkey
@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP],
    ids=["killed", "stopped", "frozen"],
)
def test_the_other_process_takes_over(
    stack: Stack, platform: Platform, number: signal.Signals
) -> None:
    first = start_gateway(stack, "first")
    wait_until(lambda: platform.confirmed > 20, within=30)
    second = start_gateway(stack, "second")
    stack.wait_alive("gateway", second)
    [record], _ = read(stack)
    assert record.process.endswith(f":{first.pid}")
    assert record.works

    seen = platform.confirmed
    first.send_signal(number)
    if number is not signal.SIGSTOP:
        first.wait(10)
    ended = time.monotonic()
    # A poll of the first one may still have been on its way, so the record tells.
    wait_until(lambda: is_held_by(stack, second), within=TAKEN_OVER_WITHIN_S)
    wait_until(lambda: platform.polls[-1][0] > ended, within=TAKEN_OVER_WITHIN_S)
    assert platform.polls[-1][1] >= seen, "it went on where the first one was"

    first.send_signal(signal.SIGCONT)  # one that was frozen wakes up, and stops listening
    wait_until(lambda: platform.is_done, within=30)
    [record], counts = read(stack)
    assert record.process.endswith(f":{second.pid}")
    assert counts["accepted"] == 400, "no update is lost, none is taken twice"
    # What the first one had accepted and not confirmed came again, and was known.
    assert counts.get("duplicate", 0) <= 5
