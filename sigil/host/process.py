"""The life of one process around its gateway, the same for gateway and worker processes.

    reach the store ─▶ work, with chores beside it ─▶ (a worker drains) ─▶ close
                       │ flush_times        every process
                       │ sweep_lanes        workers
                       │ listen_for_stops   workers
                       │ show_turns         outbound workers
                       │ listeners          the gateway process
                       │ expire_files       the gateway process

A chore runs until it is cancelled. One that raises ends the process, since that is a bug; what
a chore expects to go wrong, such as a store that is away, it handles itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from sigil.errors import SigilError, StoreError
from sigil.outbound.showing import Presences
from sigil.waiting import end

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.gateway import Gateway

log = structlog.get_logger(__name__)

Chore = Callable[[], Coroutine[Any, Any, None]]

FLUSH_EVERY_S = 5.0
RESUBSCRIBE_PAUSE_S = 1.0
REACH_AGAIN_S = 0.25
SWEEP_EVERY_S = 1.0
EXPIRE_FILES_EVERY_S = 600.0
SWEEP_PAUSE_S = 0.05  # even if a lane is always due


class Process:
    """What a process does beside the steps. `settings` name the store in errors."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.gateway = gateway
        self._settings = settings

    @contextlib.asynccontextmanager
    async def run(self, *chores: Chore, store_within: float) -> AsyncIterator[None]:
        """Reaches the store, runs the chores during the body, and closes the gateway.

        Raises `StoreError` if the store does not answer within `store_within` seconds, and
        `ConfigError` if no process may work on it.
        """
        failure: Exception | None = None
        try:
            await self.reach_store(store_within)
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(chore()) for chore in (self.flush_times, *chores)]
                try:
                    yield
                except Exception as error:  # noqa: BLE001  # raised below, not wrapped in a group
                    failure = error
                finally:
                    await end(running)
            if failure is not None:
                raise failure
        finally:
            await self.close()

    async def reach_store(self, within: float) -> None:
        """Waits until the store answers, for at most `within` seconds. Raises `StoreError` with a
        hint, and `ConfigError` if no process may work on it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self.gateway.stores.backend.ping()
                    await self.gateway.stores.backend.check_start()
                return
            except (StoreError, TimeoutError) as error:
                if loop.time() + REACH_AGAIN_S > deadline:
                    if error.__class__ not in {StoreError, TimeoutError}:  # it says what is wrong
                        raise
                    raise _describe_store_away(self._settings) from error
            await asyncio.sleep(REACH_AGAIN_S)

    # ------------------------------------------------------------ chores

    async def flush_times(self) -> None:
        """Adds this process's stage times to the shared sums."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.gateway.times.flush(self.gateway.stores.counters)

    async def sweep_lanes(self) -> None:
        """Wakes lanes that have work and no live holder: their wake-up was lost, their due time
        has come, or their worker died. Every worker does so, so none of them is needed for it."""
        is_failing = False
        while True:
            due: float | None = None
            try:
                due = await self.gateway.recover()
                is_failing = False
            except SigilError as error:
                if not is_failing:  # once per outage
                    log.warning("sweep failed", reason=error.code)
                is_failing = True
            pause = SWEEP_EVERY_S if due is None else min(due, SWEEP_EVERY_S)
            await asyncio.sleep(max(pause, SWEEP_PAUSE_S))

    async def listen_for_stops(self) -> None:
        """Makes a /stop prompt. Without this signal, a lease's next renewal brings it."""
        while True:
            try:
                async for lane in self.gateway.stores.signals.stops():
                    await self.gateway.keeper.look(lane)
            except StoreError as error:
                log.debug("stop signals interrupted", reason=str(error))
            await asyncio.sleep(RESUBSCRIBE_PAUSE_S)

    async def expire_files(self) -> None:
        """Removes files that came in and whose day is over, even if no more come."""
        while True:
            try:
                await self.gateway.stores.blobs.expire()
            except StoreError as error:
                log.warning("files could not be removed", reason=str(error))
            await asyncio.sleep(EXPIRE_FILES_EVERY_S)

    async def show_turns(self) -> None:
        """Shows on their platforms what running turns have said so far."""
        gateway = self.gateway
        store, paces = gateway.stores.presences, gateway.stores.paces
        await Presences(gateway.channels, store, paces).keep_showing()

    async def close(self) -> None:
        """Flushes the times once more and closes the gateway."""
        try:
            await self.gateway.times.flush(self.gateway.stores.counters)
        finally:
            await self.gateway.close()


def _describe_store_away(settings: Settings) -> StoreError:
    url = settings.redis.url
    if url is None:
        return StoreError(
            f"the private Valkey in {settings.data_dir} does not answer.",
            hint="`sigil up` starts it; to use a server of your own, set redis.url.",
        )
    parts = urlsplit(url.get_secret_value())
    where = parts.netloc.rpartition("@")[2] or parts.path  # without user and password
    return StoreError(f"Redis at {where} does not answer.", hint="Check redis.url and the server.")
