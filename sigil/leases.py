"""Holding lanes: taking a lease, keeping it renewed, and stopping at once when it is lost.

One timer per process renews all its leases. A lease that is found lost cancels its holder,
whose commits would be refused anyway; a stop that was asked for ends only the part of the
holder's work that runs under `stoppable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Sequence

import structlog

from sigil.errors import LeaseLost, StoreError
from sigil.lanes import Effect, Item, Lanes, Lease, Refusal, Wakeups

log = structlog.get_logger(__name__)

_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0


class Stopped(Exception):  # a person's wish, not an error
    """The person asked for a stop while work ran under `Held.stoppable`."""


class Held:
    """A lane in hand. Every commit carries its number, so that a repeat is recognised."""

    def __init__(self, lease: Lease, lanes: Lanes, wakeups: Wakeups, ttl: float) -> None:
        self.lease = lease
        self.lane = lease.lane
        self.stop = lease.stop
        self.until = time.monotonic() + ttl
        self._lanes = lanes
        self._wakeups = wakeups
        self._ttl = ttl
        self._commits = 0
        self._given_back = False
        self._scope: asyncio.Timeout | None = None
        self._stop_scope: asyncio.Timeout | None = None

    @property
    def items(self) -> tuple[Item, ...]:
        return self.lease.items

    @property
    def given_back(self) -> bool:
        return self._given_back

    @property
    def is_lost(self) -> bool:
        return self._scope is not None and self._scope.expired()

    async def commit(
        self, done: Sequence[str] = (), effects: Sequence[Effect] = (), *, keep: bool = False
    ) -> None:
        """Applies a unit of work, and wakes who has work now.

        While the store does not answer it tries again for as long as the lease may hold:
        work that is done should not be done twice for a short outage. Raises as
        `Lanes.commit` does.
        """
        self._commits += 1
        deadline, pause = time.monotonic() + self._ttl, _FIRST_RETRY
        while True:
            try:
                answer = await self._lanes.commit(
                    self.lane, self.lease.token, self._commits, done, effects, keep=keep
                )
                break
            except StoreError as error:
                if not error.transient or error.code != StoreError.code:
                    raise
                if time.monotonic() + pause > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_RETRY)
        self._given_back = not keep
        self.stop = max(0, self.stop - len(done))
        for lane in answer.wake:
            self._wakeups.wake(lane)

    async def park(self, delay: float = 0.0, *, strike: bool = False) -> None:
        """Gives the lane back with its head kept."""
        wake = await self._lanes.park(self.lane, self.lease.token, delay=delay, strike=strike)
        self._given_back = True
        for lane in wake:
            self._wakeups.wake(lane)

    async def renew(self) -> None:
        """Extends the lease. Raises `LeaseLost`; also the check before an outside effect."""
        sent = time.monotonic()
        renewal = await self._lanes.renew(self.lane, self.lease.token, ttl=self._ttl)
        self.until = sent + self._ttl
        if renewal.stop:
            self.ask_to_stop(renewal.stop)

    def ask_to_stop(self, items: int) -> None:
        """The first `items` of the lane are not wanted any more."""
        self.stop = max(self.stop, items)
        if self._stop_scope is not None and not self._stop_scope.expired():
            self._stop_scope.reschedule(0)

    def lose(self) -> None:
        """Cancels the holder."""
        if self._scope is not None and not self._given_back and not self._scope.expired():
            self._scope.reschedule(0)

    @contextlib.asynccontextmanager
    async def stoppable(self) -> AsyncIterator[None]:
        """Raises `Stopped` out of the body once a stop was asked for."""
        if self.stop:
            raise Stopped
        try:
            async with asyncio.timeout(None) as self._stop_scope:
                yield
        except TimeoutError:
            if self._stop_scope is not None and self._stop_scope.expired():
                raise Stopped from None
            raise
        finally:
            self._stop_scope = None


class LeaseKeeper:
    """Takes lanes for this process and renews them together."""

    def __init__(self, lanes: Lanes, wakeups: Wakeups, *, ttl: float, every: float) -> None:
        self._lanes = lanes
        self._wakeups = wakeups
        self._ttl = ttl
        self._every = every
        self._held: dict[str, Held] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._round: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def hold(self, lane: str, *, limit: int) -> AsyncIterator[Held | Refusal]:
        """Takes the lane for the length of the body, or says why not.

        Raises `LeaseLost` out of the body as soon as the lease is known to be lost.
        """
        taken = await self._lanes.take(lane, uuid.uuid4().hex, ttl=self._ttl, limit=limit)
        if isinstance(taken, Refusal):
            yield taken
            return
        held = Held(taken, self._lanes, self._wakeups, self._ttl)
        self._add(held)
        try:
            async with asyncio.timeout(None) as held._scope:
                yield held
        except TimeoutError:
            if held.is_lost:
                raise LeaseLost(f"the lease of lane {lane} was lost.") from None
            raise
        finally:
            held._scope = None
            self._remove(held)

    def stop(self, lane: str) -> None:
        """Prompt word that a stop was asked for; the next renewal would have said so."""
        held = self._held.get(lane)
        if held is not None and not held.given_back:
            held.ask_to_stop(1)

    def _add(self, held: Held) -> None:
        self._held[held.lane] = held
        if self._timer is None:
            self._schedule()

    def _remove(self, held: Held) -> None:
        if self._held.get(held.lane) is held:
            del self._held[held.lane]
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._tick)

    def _tick(self) -> None:
        self._schedule()
        if self._round is None or self._round.done():
            self._round = asyncio.get_running_loop().create_task(self._renew_all())

    async def _renew_all(self) -> None:
        held = [h for h in self._held.values() if not h.given_back]
        await asyncio.gather(*(self._renew(h) for h in held))

    async def _renew(self, held: Held) -> None:
        try:
            await held.renew()
        except LeaseLost:
            log.warning("lease lost", lane=held.lane)
            held.lose()
        except StoreError:
            # Nobody else can take the lane while the store is away, so the work goes on; its
            # commit is fenced, and it retries.
            log.warning("lease not renewed, the store does not answer", lane=held.lane)
