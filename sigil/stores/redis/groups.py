"""What is kept of groups: a counter and a list for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

OVERHEARD_TTL = 86_400


class RedisGroups:
    """A `GroupStore`. Every method is one round trip."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def count_message(self, group: str, message: str, *, seconds: int) -> int:
        """See `GroupStore`."""
        keys = (self._keys.group_count(group),)
        return int(await self._client.run_script("count_message", keys, (message, 1000 * seconds)))

    async def keep_overheard(self, group: str, name: str, words: str, *, most: int) -> None:
        """See `GroupStore`."""
        key = self._keys.overheard(group)
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=True) as pipe:
                pipe.rpush(key, json.dumps([name, words]))
                pipe.ltrim(key, -most, -1)
                pipe.expire(key, OVERHEARD_TTL)
                await pipe.execute()

    async def list_overheard(self, group: str, most: int) -> Sequence[tuple[str, str]]:
        """See `GroupStore`."""
        found: Any = await self._client.call("LRANGE", self._keys.overheard(group), -most, -1)
        return [(name, words) for name, words in map(json.loads, found)]

    async def forget_overheard(self, group: str, count: int) -> None:
        """See `GroupStore`."""
        await self._client.call("LTRIM", self._keys.overheard(group), count, -1)
