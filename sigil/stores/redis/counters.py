"""Sums over all processes: one hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigil.stores.redis.client import Client


class RedisCounters:
    """A `CounterStore`. A command that is repeated after a lost reply may count twice, which
    metrics can bear."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._key = client.keys.metrics()

    async def add(self, amounts: Mapping[str, int]) -> None:
        """Adds to each named sum, in one round trip."""
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=False) as pipe:
                for name, amount in amounts.items():
                    pipe.hincrby(self._key, name, amount)
                await pipe.execute()

    async def read(self) -> Mapping[str, int]:
        """Every sum by name."""
        with self._client.guard():
            sums = await self._client.redis.hgetall(self._key)
        return {name.decode(): int(amount) for name, amount in sums.items()}
