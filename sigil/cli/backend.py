"""The stores, for commands that run beside the workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sigil.errors import StoreError

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.stores.base import Stores

ANSWER_WITHIN_S = 10.0


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """The stores of the configured server, or of the private one of a running `sigil up`.

    Raises `ConfigError` if there is neither, and `StoreError` if it does not answer.
    """
    from sigil.host.valkey_address import find_store_url
    from sigil.stores import connect

    stores = connect(
        find_store_url(settings),
        prefix=settings.redis.prefix,
        retention_days=settings.retention_days,
    )
    try:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await stores.backend.ping()
        except TimeoutError:
            raise StoreError(f"Redis did not answer within {ANSWER_WITHIN_S:g} s.") from None
        yield stores
    finally:
        await stores.backend.close()
