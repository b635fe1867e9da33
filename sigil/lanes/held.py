"""A lane in hand: what its holder knows of it, and all that it may do with it.

    async with held.stoppable(): …         a /stop ends this part only
    await held.confirm_fresh()             right before each effect outside the store
    await held.finish(items, effects)      commit; the lane is kept or given back

A lease that turns out to be lost cancels its holder: its commits would be refused anyway, and what
it does outside Redis would be done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from sigil.errors import LeaseLost
from sigil.lanes.effects import Effect
from sigil.lanes.lane import Item, Lanes, Lease, Renewal, Wakeups
from sigil.waiting import insist

log = structlog.get_logger(__name__)

T = TypeVar("T")

# How long a commit is repeated while the store does not answer: what it holds may be a long answer
# that was paid for. Nobody else can take the lane meanwhile, or else the fence refuses the commit.
COMMIT_WITHIN_S = 600.0
# Before an effect outside the store its lease must hold for this long yet, or for half of its time
# if it is a short one: the effect must be under way before somebody else can begin it too.
MARGIN_S = 3.0
# Who was asked to stop gets this long to clean up. After that the cancellation was swallowed on its
# way, as `asyncio.wait_for` and careless plug-ins do, and is sent again with the next renewal.
STOPS_WITHIN_S = 20.0


class Stopped(Exception):  # a person's wish, not an error
    """The person asked for a stop while work ran under `Held.stoppable`."""


class Held:
    """A lane in hand: `items` are those at its head, and a commit takes them off the front.

    `strikes` and `journal` belong to the head, and end when it moves. The first `stop` items
    are to be stopped, not answered. `suspect` and `again` are of the head too: see `Lease`. Every
    commit carries its number, so that a repeat is recognised. `clear` is called when the lane is
    no suspect any more. `rests` as in `Lease`, and as the step learns meanwhile.
    """

    def __init__(
        self,
        lease: Lease,
        lanes: Lanes,
        wakeups: Wakeups,
        *,
        ttl: float,
        asked_at: float,
        goes_on: Callable[[], bool],
        clear: Callable[[], None] = lambda: None,
    ) -> None:
        # `asked_at`: when the lease was asked for, by the monotonic clock of this process.
        self.lane = lease.lane
        self.token = lease.token
        self.items = lease.items
        self.strikes = lease.strikes
        self.journal = lease.journal
        self.directory_version = lease.directory_version
        self.stop = lease.stop
        self.again = lease.again
        self.suspect = lease.suspect
        self.rests = lease.rests
        self.clear = clear
        self.memo: object | None = None  # what the step keeps for its next turn of this hold
        self.given_back = False
        self._ending = False
        self._lanes = lanes
        self._wakeups = wakeups
        self._ttl = ttl
        self._fresh_until = _fresh_until(asked_at, ttl)
        self._begun = False  # something outside the store was done for the head, or is about to be
        self._goes_on = goes_on
        self._commits = 0  # that were sent
        self._applied = 0  # the number of the last one whose answer has come
        self._ahead = Renewal()  # the newest one that was made after that
        self._scope: asyncio.Timeout | None = None
        self._stop_scope: asyncio.Timeout | None = None
        self._stoppable: asyncio.Task[object] | None = None  # what runs in that scope
        self._stop_asked_at = 0.0

    @property
    def is_lost(self) -> bool:
        return self._scope is not None and self._scope.expired()

    async def commit(
        self, done: Sequence[str] = (), effects: Sequence[Effect] = (), *, keep: bool = False
    ) -> None:
        """Applies a unit of work, and wakes who has work now. Raises as `Lanes.commit` does."""
        self._commits += 1
        n = self._commits
        answer = await self._call(
            lambda: self._lanes.commit(self.lane, self.token, n, done, effects, keep=keep),
            within=COMMIT_WITHIN_S,
            ends=not keep,
        )
        self._applied = n
        self.given_back = not keep
        if done:
            self.items = self.items[len(done) :]
            self.strikes, self.journal = 0, ()
            self.again = self._begun = self.suspect = False
            self.clear()
        self.stop = max(answer.stop, self._ahead.stop if self._ahead.commits == n else 0)
        for lane in answer.wake:
            self._wakeups.wake(lane)

    async def finish(self, items: Sequence[Item], effects: Sequence[Effect] = ()) -> None:
        """Commits `items` as done. The lane is kept if more of it is in hand and it is not
        time to let others be served."""
        keep = len(items) < len(self.items) and self._goes_on()
        await self.commit([item.id for item in items], effects, keep=keep)

    async def park(self, delay: float = 0.0, *, strike: bool = False) -> None:
        """Gives the lane back with its head kept."""
        begun = self._begun or self.again
        wake = await self._call(
            lambda: self._lanes.park(
                self.lane, self.token, delay=delay, strike=strike, begun=begun
            ),
            within=self._ttl,
            ends=True,
        )
        self.given_back = True
        for lane in wake:
            self._wakeups.wake(lane)

    async def renew(self) -> None:
        """Extends the lease. Raises `LeaseLost`."""
        asked_at = time.monotonic()
        renewal = await self._lanes.renew(self.lane, self.token, ttl=self._ttl)
        self.note_renewal(renewal, asked_at=asked_at, ttl=self._ttl)

    async def confirm_fresh(self) -> None:
        """To be called right before each effect outside the store, such as a platform call.

        Returns at once if the lease is known to hold for a while yet, else renews it first. From
        here on the head is begun: if it is not finished, its next holder is told `again`. Raises
        `LeaseLost` or `StoreError`; then the effect must not be begun.
        """
        while time.monotonic() >= self._fresh_until:
            await insist(self.renew, self._ttl)
        self._begun = True

    def note_known_end(self) -> None:
        """What was begun for the head has ended, and what came of it is known: given back now, the
        head counts as untouched."""
        self._begun = self.again = False

    def note_renewal(self, renewal: Renewal, *, asked_at: float, ttl: float) -> None:
        """Takes in the answer to a renewal for `ttl` seconds, which was asked for at `asked_at`
        (monotonic)."""
        self._fresh_until = _fresh_until(asked_at, ttl)
        # What is to be stopped counts from the head. One that was made before the last commit tells
        # nothing that its answer did not; one that is ahead of it waits for the answer.
        if renewal.commits > self._applied:
            self._ahead = renewal
        elif renewal.commits == self._applied and renewal.stop:
            self._ask_to_stop(renewal.stop)

    async def _call(self, call: Callable[[], Awaitable[T]], *, within: float, ends: bool) -> T:
        """`within`: how long it is repeated, in seconds; `ends`: it gives the lane back."""
        self._ending = ends
        try:
            return await insist(call, within)
        finally:
            self._ending = False

    def _ask_to_stop(self, items: int) -> None:
        self.stop = max(self.stop, items)
        if self._stop_scope is None or self._stoppable is None:
            return
        if not self._stop_scope.expired():
            self._stop_asked_at = time.monotonic()
            self._stop_scope.reschedule(0)
        elif time.monotonic() - self._stop_asked_at >= STOPS_WITHIN_S:
            self._stop_asked_at = time.monotonic()
            self._stoppable.uncancel()  # the scope takes back one cancellation, not two
            self._stoppable.cancel()

    def lose(self) -> None:
        """Cancels the holder, unless it is giving the lane back just now: then the lease may
        have ended by that, and the answer to it, which names the lanes to wake, is on its way."""
        if self.given_back or self._ending:
            return
        if self._scope is not None and not self._scope.expired():
            log.warning("lease lost", lane=self.lane)
            self._fresh_until = 0.0  # the holder may run once more before it is cancelled
            self._scope.reschedule(0)

    @contextlib.asynccontextmanager
    async def in_hand(self) -> AsyncIterator[None]:
        """The time in which a holder works. Raises `LeaseLost` out of the body after `lose`."""
        try:
            async with asyncio.timeout(None) as self._scope:
                yield
        except TimeoutError:
            if self.is_lost:
                raise LeaseLost(f"the lease of lane {self.lane} was lost.") from None
            raise
        finally:
            self._scope = None

    @contextlib.asynccontextmanager
    async def stoppable(self) -> AsyncIterator[None]:
        """Raises `Stopped` out of the body once a stop was asked for."""
        if self.stop:
            raise Stopped
        self._stoppable = asyncio.current_task()
        try:
            async with asyncio.timeout(None) as self._stop_scope:
                yield
        except TimeoutError:
            if self._stop_scope is not None and self._stop_scope.expired():
                raise Stopped from None
            raise
        finally:
            self._stop_scope = self._stoppable = None


def _fresh_until(asked_at: float, ttl: float) -> float:
    # The store granted the time at `asked_at` or later, so that it lasts longer than is counted.
    return asked_at + ttl - min(MARGIN_S, ttl / 2)
