"""Connections to the primary that Redis Sentinel names, whichever that is by now."""

from __future__ import annotations

from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from sigil.redis_urls import SentinelUrl

_ASK_S = 5.0


class _Pool(SentinelConnectionPool, aioredis.BlockingConnectionPool):
    """Waits for a free connection, and ends those to the Sentinels with its own."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def pool(url: str, **options: Any) -> aioredis.BlockingConnectionPool:
    """A pool for a `sentinel://` URL; `options` are for connections to the primary. Opens no
    connection. Raises `ValueError` for a URL that cannot be read."""
    found = SentinelUrl.parse(url)
    # One that is away is passed over for the next one, where redis-py would insist.
    once = Retry(NoBackoff(), 0)
    asking = {"socket_timeout": _ASK_S, "socket_connect_timeout": _ASK_S, "retry": once}
    return _Pool(  # type: ignore[no-untyped-call]
        found.master,
        Sentinel(list(found.sentinels), sentinel_kwargs=asking),  # type: ignore[no-untyped-call]
        db=found.db,
        username=found.username,
        password=found.password,
        **options,
    )
