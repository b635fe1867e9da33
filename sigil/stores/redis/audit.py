"""The audit log in Redis: one capped list of JSON entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigil.stores.redis.bounds import AUDIT_TTL, MOST_AUDIT_ENTRIES

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client


class RedisAudit:
    """An `AuditStore`. If a reply of Redis is lost, the entry may be stored twice."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def add(self, entry: str) -> None:
        """Appends one entry, and drops the oldest ones beyond 10,000."""
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=True) as pipe:
                pipe.rpush(self._keys.audit(), entry)
                pipe.ltrim(self._keys.audit(), -MOST_AUDIT_ENTRIES, -1)
                pipe.expire(self._keys.audit(), AUDIT_TTL)
                await pipe.execute()

    async def recent(self, limit: int = 100) -> list[str]:
        """The newest `limit` entries, the oldest of them first."""
        if limit <= 0:
            return []
        with self._client.guard():
            entries: Any = await self._client.redis.lrange(self._keys.audit(), -limit, -1)
        return [entry.decode() for entry in entries]
