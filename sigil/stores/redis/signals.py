"""Prompt word of a stop over pub/sub; best effort, since `renew` is what counts."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sigil.stores.redis.client import Client


class RedisSignals:
    """The one implementation of `Signals`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def stops(self) -> AsyncIterator[str]:
        with self._client.guard():
            async with self._client.blocking.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(self._client.keys.stops())
                async for message in pubsub.listen():
                    yield message["data"].decode()
