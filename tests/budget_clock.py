"""A clock of the store that tests can set: that of Redis cannot be. The scripts are otherwise
as they are."""

from __future__ import annotations

from datetime import UTC, datetime

from sigil.stores import Stores
from sigil.stores.redis import client

NAME = "test-clock"
_REAL = client.script_text
_TIME = "redis.call('TIME')"
_SET = f"{{ redis.call('GET', P .. '{NAME}'), '0' }}"


def script_text(name: str) -> str:
    """To stand in for `sigil.stores.redis.client.script_text`."""
    text = _REAL(name)
    assert text.count(_TIME) == 1
    return text.replace(_TIME, _SET)


class Clock:
    """The clock of one store, in seconds since the epoch."""

    def __init__(self, stores: Stores, start: str) -> None:
        self._redis = stores.backend.redis
        self._key = stores.backend.keys.prefix + NAME
        self.now = datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()

    async def advance(self, seconds: float = 0.0) -> None:
        self.now += seconds
        await self._redis.set(self._key, f"{self.now:.3f}")
