"""The records of items in Redis, and the index of those that failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys


class RedisMessages:
    """A `MessageStore`; the records are written by lanes."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def get(self, item_id: str) -> Mapping[str, str] | None:
        """The fields of an item's record; None if there is none (any more)."""
        with self._client.guard():
            found: Any = await self._client.redis.hgetall(self._keys.item(item_id))
        return {name.decode(): _text(value) for name, value in found.items()} or None

    async def dead(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """The newest dead letters, newest first: id, stage, reason, at (seconds since the
        epoch)."""
        if limit <= 0:
            return []
        with self._client.guard():
            redis = self._client.redis
            found: Any = await redis.zrevrange(self._keys.dead(), 0, limit - 1, withscores=True)
            async with redis.pipeline(transaction=False) as pipe:
                for item_id, _ in found:
                    pipe.hmget(self._keys.item(item_id.decode()), "dead_stage", "dead_reason")
                why = await pipe.execute()
        return [
            {
                "id": item_id.decode(),
                "stage": _text(stage),
                "reason": _text(reason),
                "at": milliseconds / 1000,
            }
            for (item_id, milliseconds), (stage, reason) in zip(found, why, strict=True)
        ]


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")
