"""Connections to a primary that Redis Sentinel names. After a failover it names another one."""

from __future__ import annotations

from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from sigil.config.redis_urls import SentinelUrl

_ASK_S = 5.0


class _Pool(SentinelConnectionPool, aioredis.BlockingConnectionPool):
    """Waits for a free connection. Closing it also closes the connections to the Sentinels."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def build_pool(url: str, **options: Any) -> aioredis.BlockingConnectionPool:
    """A pool for a `sentinel://` URL; `options` are for connections to the primary. Opens no
    connection. Raises `ValueError` for a URL that cannot be read."""
    target = SentinelUrl.parse(url)
    # By default redis-py insists on a Sentinel that is away. Here the next one is asked at once.
    once = Retry(NoBackoff(), 0)
    asking = {"socket_timeout": _ASK_S, "socket_connect_timeout": _ASK_S, "retry": once}
    return _Pool(  # type: ignore[no-untyped-call]
        target.master,
        Sentinel(list(target.sentinels), sentinel_kwargs=asking),  # type: ignore[no-untyped-call]
        db=target.db,
        username=target.username,
        password=target.password,
        **options,
    )
