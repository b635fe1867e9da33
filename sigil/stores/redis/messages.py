"""The records of items in Redis, and the index of those that failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigil.errors import EffectRejected
from sigil.stores.redis.bounds import EARLY_REPORT_TTL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigil.stores.redis.client import Client

LONGEST_REPORT = 500


class RedisMessages:
    """A `MessageStore`. Lanes write the records; only what a platform reports is written here."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def get(self, item_id: str) -> Mapping[str, str] | None:
        """The fields of an item's record; None if it does not exist (any more)."""
        with self._client.guard():
            record: Any = await self._client.redis.hgetall(self._keys.item(item_id))
        return {name.decode(): _decode(value) for name, value in record.items()} or None

    async def report(
        self, account: str, key: str, state: str, reason: str | None
    ) -> tuple[str | None, bool]:
        text = f"{state} {reason or ''}".strip()[:LONGEST_REPORT]
        keys = (self._keys.report(account, key),)
        answer = await self._client.run_script("report", keys, (text, EARLY_REPORT_TTL))
        status, *found = (part.decode() for part in answer)
        if status == "noted":
            return found[0], found[1] == "1"
        if status != "early":
            raise EffectRejected(f"the report was rejected: {status}.")
        return None, False

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
