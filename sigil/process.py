"""The life of one process around its gateway, the same for gateway and worker processes.

reach the store → work, while it listens for stops and flushes its times → drain → close
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from sigil.errors import StoreError

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.gateway import Gateway

log = structlog.get_logger(__name__)

FLUSH_EVERY_S = 5.0
RESUBSCRIBE_PAUSE_S = 1.0
REACH_AGAIN_S = 0.25


class Process:
    """What a process does beside the steps. `settings` name the store in errors."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.gateway = gateway
        self._settings = settings

    async def reach_store(self, within: float) -> None:
        """Waits for the store, `within` seconds at most. Raises `StoreError` that says what to
        do, as a process does at its start."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self.gateway.stores.backend.ping()
                return
            except (StoreError, TimeoutError) as error:
                if asyncio.get_running_loop().time() + REACH_AGAIN_S > deadline:
                    raise _store_away(self._settings) from error
            await asyncio.sleep(REACH_AGAIN_S)

    async def listen_for_stops(self) -> None:
        """Runs until cancelled: makes a stop prompt. Without it, the next renewal says so."""
        while True:
            try:
                async for lane in self.gateway.stores.signals.stops():
                    await self.gateway.keeper.look(lane)
            except StoreError as error:
                log.debug("stop signals interrupted", reason=str(error))
            await asyncio.sleep(RESUBSCRIBE_PAUSE_S)

    async def flush_times(self) -> None:
        """Runs until cancelled: adds this process's times to the shared sums."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.gateway.times.flush(self.gateway.stores.counters)

    async def close(self) -> None:
        """Flushes the times once more and closes the gateway."""
        await self.gateway.times.flush(self.gateway.stores.counters)
        await self.gateway.close()


def _store_away(settings: Settings) -> StoreError:
    url = settings.redis.url
    if url is None:
        return StoreError(
            f"the private Valkey in {settings.data_dir} does not answer.",
            hint="`sigil up` starts it; to use a server of your own, set redis.url.",
        )
    parts = urlsplit(url.get_secret_value())
    where = parts.netloc.rpartition("@")[2] or parts.path
    return StoreError(f"Redis at {where} does not answer.", hint="Check redis.url and the server.")
