"""What was used, in Redis: a hash of counters per scope, subject and day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys


class RedisBudgets:
    """A `BudgetStore`; the counters are written by the commits of turns."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def usage(self, scope: str, subject: str, day: str) -> Mapping[str, int]:
        """Counters of a `user` or `workspace` on a day (YYYY-MM-DD, UTC); empty if nothing
        was used."""
        with self._client.guard():
            found: Any = await self._client.redis.hgetall(self._keys.usage(scope, subject, day))
        return {name.decode(): int(count) for name, count in found.items()}
