"""News of a stop over pub/sub: it arrives at once, but may be lost. A holder that misses it learns
of the stop with its next `renew`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sigil.stores.redis.client import ANSWER_WITHIN_S, Client

# Of a link that is dead no error may ever come. So after this long without news the server is asked
# for a sign of life.
QUIET_S = 10.0


class RedisSignals:
    """A `Signals`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def stops(self) -> AsyncIterator[str]:
        with self._client.guard():
            async with self._client.blocking.pubsub() as pubsub:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await pubsub.subscribe(self._client.keys.stops())
                while True:
                    message = await pubsub.get_message(timeout=QUIET_S)
                    if message is None:
                        async with asyncio.timeout(ANSWER_WITHIN_S):
                            await pubsub.ping()
                        message = await pubsub.get_message(timeout=ANSWER_WITHIN_S)
                    if message is None:
                        raise TimeoutError
                    if message["type"] == "message":
                        yield message["data"].decode()
