"""The stores, for commands that run beside the workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sigil.config import Settings
from sigil.errors import StoreError
from sigil.stores.base import Stores

PATIENCE_S = 10.0


def redis_url(settings: Settings) -> str:
    """The configured server's URL, or that of the private one of a running `sigil up`.

    Raises `ConfigError` if neither is there.
    """
    if settings.redis.url is not None:
        return settings.redis.url.get_secret_value()
    from sigil.host import embedded

    return embedded.url(settings.data_dir)


@asynccontextmanager
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    """The stores of a server that answers. Raises `ConfigError` or `StoreError`."""
    from sigil.stores import connect

    opened = connect(
        redis_url(settings), prefix=settings.redis.prefix, retention_days=settings.retention_days
    )
    try:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await opened.backend.ping()
        except TimeoutError:
            raise StoreError(f"Redis did not answer within {PATIENCE_S:g} s.") from None
        yield opened
    finally:
        await opened.backend.close()
