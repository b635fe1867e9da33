"""The audit log in Redis: one capped list of JSON entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigil.stores.redis.effects import MEMORY_TTL, MOST_AUDIT

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys


class RedisAudit:
    """An `AuditStore`. Adding may store an entry twice if a reply is lost."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def add(self, entry: str) -> None:
        """Appends one entry; beyond 10,000 the oldest go."""
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=True) as pipe:
                pipe.rpush(self._keys.audit(), entry)
                pipe.ltrim(self._keys.audit(), -MOST_AUDIT, -1)
                pipe.expire(self._keys.audit(), MEMORY_TTL)
                await pipe.execute()

    async def recent(self, limit: int = 100) -> list[str]:
        """The newest `limit` entries, oldest of them first."""
        if limit <= 0:
            return []
        with self._client.guard():
            found: Any = await self._client.redis.lrange(self._keys.audit(), -limit, -1)
        return [entry.decode() for entry in found]
