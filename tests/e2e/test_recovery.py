"""An agent worker dies in mid-turn, at the default lease."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from sigil.config.schema import LaneSettings
from sigil.messages.exchange import InboundMessage
from tests.chaos.site import write_config
from tests.e2e.fleet import open_fleet

MOST_S = 17.0


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(90)
async def test_another_worker_answers_within_17_seconds_of_a_kill(folder: Path) -> None:
    assert (LaneSettings().lease, LaneSettings().renew) == (15, 5)
    hold, calls, platform = folder / "hold", folder / "calls.jsonl", folder / "platform.jsonl"
    hold.touch()
    config = write_config(folder, lanes={}, provider={"calls": str(calls), "hold": str(hold)})
    places = {"routing": 1, "agent": 2, "outbound": 1}
    async with open_fleet(folder, config, places) as (gateway, workers):
        await gateway.receive(InboundMessage("chaos", "c", "1", "ann", "are you there?"))
        [first] = await _lines(calls, 1)
        # Right after the lease was taken, so that all of it has to run out.
        [victim] = [w for w in workers if w.process and w.process.pid == first["pid"]]
        victim.kill()
        killed = time.monotonic()
        hold.unlink()
        [reply] = await _lines(platform, 1)
        seconds = time.monotonic() - killed
        print(f"answered {seconds:.1f} s after the kill")
        assert reply["text"] == "are you there?"
        assert [call["pid"] == first["pid"] for call in await _lines(calls, 2)] == [True, False]
        assert seconds <= MOST_S


async def _lines(path: Path, count: int) -> list[dict[str, Any]]:
    """The lines of a file once it has so many."""
    deadline = time.monotonic() + 2 * MOST_S
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path.name} has {len(lines)} lines, not {count}")
