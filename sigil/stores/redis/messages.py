"""The records of items in Redis, and the index of those that failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigil.stores.redis.client import Client


class RedisMessages:
    """A `MessageStore`. It only reads: lanes write the records."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def get(self, item_id: str) -> Mapping[str, str] | None:
        """The fields of an item's record; None if it does not exist (any more)."""
        with self._client.guard():
            record: Any = await self._client.redis.hgetall(self._keys.item(item_id))
        return {name.decode(): _decode(value) for name, value in record.items()} or None

    async def dead(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """The newest dead letters, newest first: id, stage, reason, at (seconds since the
        epoch)."""
        if limit <= 0:
            return []
        with self._client.guard():
            redis = self._client.redis
            index = self._keys.dead_letters()
            newest: Any = await redis.zrevrange(index, 0, limit - 1, withscores=True)
            async with redis.pipeline(transaction=False) as pipe:
                for item_id, _ in newest:
                    pipe.hmget(self._keys.item(item_id.decode()), "dead_stage", "dead_reason")
                causes = await pipe.execute()
        return [
            {
                "id": item_id.decode(),
                "stage": _decode(stage),
                "reason": _decode(reason),
                "at": milliseconds / 1000,
            }
            for (item_id, milliseconds), (stage, reason) in zip(newest, causes, strict=True)
        ]


def _decode(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")
