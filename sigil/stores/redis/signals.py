"""News of a stop over pub/sub: it arrives at once, but may be lost. A holder that misses it learns
of the stop with its next `renew`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sigil.stores.redis.client import Client


class RedisSignals:
    """A `Signals`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def stops(self) -> AsyncIterator[str]:
        with self._client.guard():
            async with self._client.blocking.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(self._client.keys.stops())
                async for message in pubsub.listen():
                    yield message["data"].decode()
