"""A server whose clock steps while it runs: that of Valkey cannot be set, so a key says by how much
it is wrong, and every script adds that to the time. Otherwise the scripts are as they are, and
what they stored before a step is as far ahead or behind as on a real server.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sigil.stores.redis import client

if TYPE_CHECKING:
    from redis.asyncio import Redis

OFFSET = "clock-offset"  # seconds, behind the prefix
_TIME = "redis.call('TIME')"
_STEPPED = f"""(function()
  local now = {_TIME}
  now[1] = now[1] + (redis.call('GET', P .. '{OFFSET}') or 0)
  return now
end)()"""


def apply() -> None:
    """All scripts of this process go by the clock that steps."""
    original, read_time = client.script_text, client.Client.read_time

    def script_text(name: str) -> str:
        text = original(name)
        assert text.count(_TIME) == 1
        return text.replace(_TIME, _STEPPED)

    async def read_stepped_time(self: client.Client) -> datetime:
        offset = int(await self.call("GET", f"{self.keys.prefix}{OFFSET}") or 0)
        return await read_time(self) + timedelta(seconds=offset)

    client.script_text = script_text  # type: ignore[assignment]
    client.Client.read_time = read_stepped_time  # type: ignore[method-assign]


async def step(redis: Redis, prefix: str, seconds: int) -> None:
    """The server's clock steps, back if `seconds` is below zero."""
    await redis.incrby(f"{prefix}{OFFSET}", seconds)
