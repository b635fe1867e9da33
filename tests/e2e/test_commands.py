"""Commands while a turn runs, and while the workers that answer them are killed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sigil.messages.exchange import InboundMessage
from sigil.stores.redis.client import Client
from tests.chaos.site import until, write_config
from tests.e2e.fleet import open_fleet

COMMANDS, KILLS = 48, 6
LANES = {"lease": 2, "renew": 0.5, "cap": 99, "max_strikes": 50}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(120)
async def test_commands_are_answered_once_during_a_turn_whoever_is_killed(folder: Path) -> None:
    hold, calls, platform = folder / "hold", folder / "calls.jsonl", folder / "platform.jsonl"
    hold.touch()
    config = write_config(folder, lanes=LANES, provider={"calls": str(calls), "hold": str(hold)})
    places = {"routing": 2, "agent": 1, "outbound": 1}
    async with open_fleet(folder, config, places) as (gateway, workers):
        stores = gateway.stores
        assert isinstance(stores.backend, Client)
        redis, keys = stores.backend.redis, stores.backend.keys

        async def write(number: int, text: str) -> None:
            await gateway.receive(InboundMessage("chaos", "c", str(number), "ann", text))

        async def are_sent(count: int) -> bool:
            return len(read_lines(platform)) >= count

        async def is_asked() -> bool:
            return bool(read_lines(calls))

        await write(0, "one")
        await until("the turn runs", is_asked, 10)
        routers = [worker for worker in workers if worker.name.startswith("routing")]
        for number in range(COMMANDS):
            await write(1 + number, "/new" if number % 2 else "/usage")
            if number % (COMMANDS // KILLS) == 0:
                victim = routers[number // (COMMANDS // KILLS) % len(routers)]
                victim.kill()
                victim.start()
            await asyncio.sleep(0.02)
        await write(1 + COMMANDS, "two")
        seconds = await until("the commands are answered", lambda: are_sent(COMMANDS), 60)
        print(f"the last command was answered {seconds:.1f} s after it was written")
        assert hold.exists(), "the turn still runs"
        hold.unlink()
        await until("all is answered", lambda: are_sent(COMMANDS + 2), 30)
        await until("all is noted", lambda: _is_drained(redis, keys), 10)
        sent = [line["text"] for line in read_lines(platform)]
        assert [text for text in sent if text in {"one", "two"}] == ["one", "two"]
        assert sum(text.startswith("A fresh conversation.") for text in sent) == COMMANDS // 2
        assert len(sent) == COMMANDS + 2
        report = await stores.lanes.verify(deep=True)
        assert report["balanced"], report["problems"]
        (day,) = (await stores.lanes.counts()).values()
        assert day["accepted"] == day["answered"] == COMMANDS + 2
        histories = {
            key.decode().rpartition("%23")[2]: await redis.lrange(key, 0, -1)
            async for key in redis.scan_iter(match=f"{keys.prefix}history:*")
        }
        last = str(COMMANDS // 2)
        assert histories.keys() == {"0", last}, "each answer is in the session of its question"
        assert b"one" in histories["0"][1]
        assert b"two" in histories[last][1]


async def _is_drained(redis: Any, keys: Any) -> bool:
    return int(await redis.zcard(keys.due())) == 0
