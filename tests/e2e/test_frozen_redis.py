"""Redis is frozen while a hundred streams run and the worker reports events to Flower: no stream is
cut off, none waits for Redis, and each is answered once."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest

from benchmarks.stream_costs import read_stats, vendor
from tests.workers.stack import Stack, events, say, short_folder, until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("fleets"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="delays come from /proc"),
]

STREAMS, RATE = 100, 5.0
# The streams outlast the freeze. A lease lasts 15 s and is renewed every 5 s.
FREEZE_S, SPEAKS_S = 10.0, 25.0
MOST_S = 0.05

CONFIG = """
providers:
  bench:
    type: tests.e2e.gap_reader:GapReader
    api_key: sk-bench
    base_url: http://127.0.0.1:{port}/v1
models: {{default: bench/bench}}
"""


async def until_open(port: int) -> None:
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(read_stats, port)).open < STREAMS:
            await asyncio.sleep(0.1)


async def test_streams_go_on_while_redis_is_frozen() -> None:
    tokens = round(SPEAKS_S * RATE)
    with (
        vendor("openai", tokens, RATE) as port,
        short_folder() as folder,
        Stack(folder, config=CONFIG.format(port=port)) as stack,
    ):
        stack.env["GAPS"] = str(folder / "gaps")
        stack.worker("routing")
        stack.worker("outbound")
        program = ["celery", "-A", "workers", "worker", "-Q", "sigil.agent", "-n", "agent-1@%h"]
        agent = stack.start(*program, "-E", "-c", str(STREAMS + 8), log="agent.log")
        stack.wait_alive("agent", agent)
        async with stack.gateway() as gateway:
            await say(gateway, "first", "warm up")  # imports the SDK
            await until(gateway, "first", "reply", within=30)
            for number in range(STREAMS):
                await say(gateway, f"c{number}", "hello")
            await until_open(port)

            began = time.monotonic()
            stack.valkey.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(FREEZE_S)  # how long it is frozen
            stack.valkey.process.send_signal(signal.SIGCONT)
            for number in range(STREAMS):
                await until(gateway, f"c{number}", "reply", within=SPEAKS_S + 30)
                (reply,) = await events(gateway, f"c{number}", "reply")
                assert len(str(reply["text"]).split()) == tokens
        stats = read_stats(port)
        assert (stats.done, stats.broken) == (STREAMS, 0), stack.log("agent")
        gaps = read_gaps(folder / "gaps", began)
    assert not [gap for gap in gaps if gap > MOST_S], gaps


def read_gaps(path: Path, since: float) -> list[float]:
    """The gaps after this time, in seconds, the longest one first."""
    lines = (line.split() for line in path.read_text().splitlines())
    return sorted((float(gap) for ended, gap in lines if float(ended) > since), reverse=True)
