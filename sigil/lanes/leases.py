"""Holding lanes: taking a lease, keeping it renewed, and stopping at once when it is lost.

    async with keeper.hold(lane) as held:      take; renewed every few seconds, all leases together
        async with held.stoppable(): …         a /stop ends this part only
        await held.finish(items, effects)      commit; the lane is kept or given back

A lease that turns out to be lost cancels its holder: its commits would be refused anyway, and what
it does outside Redis would be done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from sigil.errors import LeaseLost, StoreError
from sigil.lanes.effects import Effect
from sigil.lanes.lane import Item, Lanes, Lease, Refusal, Wakeups
from sigil.waiting import insist

log = structlog.get_logger(__name__)

T = TypeVar("T")

HAND_BACK_WITHIN_S = 5.0


class Stopped(Exception):  # a person's wish, not an error
    """The person asked for a stop while work ran under `Held.stoppable`."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a lease lasts and how often it is renewed, in seconds. A lane is given back after
    `items` items or `seconds` seconds at most, so that others are served."""

    ttl: float
    every: float
    items: int = 10
    seconds: float = 30.0


class Held:
    """A lane in hand: `items` are those at its head, and a commit takes them off the front.

    `strikes` and `journal` belong to the head, and end when it moves. The first `stop` items
    are to be stopped, not answered. Every commit carries its number, so that a repeat is
    recognised.
    """

    def __init__(
        self,
        lease: Lease,
        lanes: Lanes,
        wakeups: Wakeups,
        *,
        ttl: float,
        goes_on: Callable[[], bool],
    ) -> None:
        self.lane = lease.lane
        self.token = lease.token
        self.items = lease.items
        self.strikes = lease.strikes
        self.journal = lease.journal
        self.directory_version = lease.directory_version
        self.stop = lease.stop
        self.memo: object | None = None  # what the step keeps for its next turn of this hold
        self.given_back = False
        self._ending = False
        self._lanes = lanes
        self._wakeups = wakeups
        self._ttl = ttl
        self._goes_on = goes_on
        self._commits = 0
        self._moves = 0
        self._scope: asyncio.Timeout | None = None
        self._stop_scope: asyncio.Timeout | None = None

    @property
    def is_lost(self) -> bool:
        return self._scope is not None and self._scope.expired()

    async def commit(
        self, done: Sequence[str] = (), effects: Sequence[Effect] = (), *, keep: bool = False
    ) -> None:
        """Applies a unit of work, and wakes who has work now. Raises as `Lanes.commit` does."""
        self._commits += 1
        self._moves += 1
        n = self._commits
        answer = await self._call(
            lambda: self._lanes.commit(self.lane, self.token, n, done, effects, keep=keep),
            ends=not keep,
        )
        self._moves += 1
        self.given_back = not keep
        if done:
            self.items = self.items[len(done) :]
            self.strikes, self.journal = 0, ()
            self.stop = max(0, self.stop - len(done))
        for lane in answer.wake:
            self._wakeups.wake(lane)

    async def finish(self, items: Sequence[Item], effects: Sequence[Effect] = ()) -> None:
        """Commits `items` as done. The lane is kept if more of it is in hand and it is not
        time to let others be served."""
        keep = len(items) < len(self.items) and self._goes_on()
        await self.commit([item.id for item in items], effects, keep=keep)

    async def park(self, delay: float = 0.0, *, strike: bool = False) -> None:
        """Gives the lane back with its head kept."""
        wake = await self._call(
            lambda: self._lanes.park(self.lane, self.token, delay=delay, strike=strike), ends=True
        )
        self.given_back = True
        for lane in wake:
            self._wakeups.wake(lane)

    async def renew(self) -> None:
        """Extends the lease. Raises `LeaseLost`."""
        moves = self._moves
        renewal = await self._lanes.renew(self.lane, self.token, ttl=self._ttl)
        # Counted from the head; after a commit meanwhile it is not known from which one.
        if renewal.stop and moves == self._moves:
            self._ask_to_stop(renewal.stop)

    async def _call(self, call: Callable[[], Awaitable[T]], *, ends: bool) -> T:
        """`ends`: the call gives the lane back."""
        self._ending = ends
        try:
            return await insist(call, self._ttl)
        finally:
            self._ending = False

    def _ask_to_stop(self, items: int) -> None:
        self.stop = max(self.stop, items)
        if self._stop_scope is not None and not self._stop_scope.expired():
            self._stop_scope.reschedule(0)

    def lose(self) -> None:
        """Cancels the holder, unless it is giving the lane back just now: then the lease may
        have ended by that, and the answer to it, which names the lanes to wake, is on its way."""
        if self.given_back or self._ending:
            return
        if self._scope is not None and not self._scope.expired():
            log.warning("lease lost", lane=self.lane)
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
    """Takes lanes for this process and renews them together. `read_terms` is asked at each
    take and each round of renewals."""

    def __init__(
        self, lanes: Lanes, wakeups: Wakeups, read_terms: Callable[[], LeaseTerms]
    ) -> None:
        self.draining = False  # each lane is given back after the item in hand
        self._lanes = lanes
        self._wakeups = wakeups
        self._read_terms = read_terms
        self._held: dict[str, Held] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # those inside `hold`
        self._timer: asyncio.TimerHandle | None = None
        self._round: asyncio.Task[None] | None = None

    @property
    def working(self) -> int:
        """How many lanes this process works on now."""
        return len(self._tasks)

    def stop_taking(self) -> None:
        """Takes no lane from now on; what is in hand is finished."""
        self.draining = True

    async def hand_back(self) -> None:
        """Cancels what runs; each lane is given back at once, without a strike."""
        self.draining = True
        running = self._tasks - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=HAND_BACK_WITHIN_S)

    @contextlib.asynccontextmanager
    async def hold(self, lane: str) -> AsyncIterator[Held | Refusal]:
        """Takes the lane for the length of the body, or says why not.

        Raises `LeaseLost` out of the body as soon as the lease is known to be lost.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with self._hold(lane) as held:
                yield held
        finally:
            self._tasks.discard(task)

    @contextlib.asynccontextmanager
    async def _hold(self, lane: str) -> AsyncIterator[Held | Refusal]:
        nonce, terms = uuid.uuid4().hex, self._read_terms()
        taken = await insist(
            lambda: self._lanes.take(lane, nonce, ttl=terms.ttl, limit=terms.items), terms.ttl
        )
        if isinstance(taken, Refusal):
            yield taken
            return
        enough = time.monotonic() + terms.seconds
        held = Held(
            taken,
            self._lanes,
            self._wakeups,
            ttl=terms.ttl,
            goes_on=lambda: not self.draining and time.monotonic() < enough,
        )
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

    async def look(self, lane: str) -> None:
        """Renews the lease of `lane` now, if it is held here: so a stop is prompt."""
        held = self._held.get(lane)
        if held is not None and not held.given_back:
            await self._renew(held)

    def _add(self, held: Held) -> None:
        before = self._held.get(held.lane)
        if before is not None:
            before.lose()
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
        self._timer = asyncio.get_running_loop().call_later(self._read_terms().every, self._tick)

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
            held.lose()
        except StoreError:
            # Nobody else can take the lane while the store is away, so the work goes on; its
            # commit is fenced, and it retries.
            log.warning("lease not renewed, the store does not answer", lane=held.lane)
