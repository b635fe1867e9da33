"""Holding lanes: taking leases for a process, and keeping them renewed.

async with keeper.hold(lane) as held:      take; renewed every few seconds, many leases together
    …                                      what a holder may do: see `sigil.lanes.held`
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from sigil.errors import StoreError
from sigil.lanes.held import Held
from sigil.lanes.lane import Lanes, Lease, Refusal, Wakeups
from sigil.lanes.suspects import SuspectPlace
from sigil.waiting import insist

log = structlog.get_logger(__name__)

HAND_BACK_WITHIN_S = 5.0
# One script renews this many leases, and holds up other scripts for about 0.1 ms.
RENEWED_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a lease lasts and how often it is renewed, in seconds. A lane is given back after
    `items` items or `seconds` seconds at most, so that others are served."""

    ttl: float
    every: float
    items: int = 10
    seconds: float = 30.0


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
        self._suspects = SuspectPlace(wakeups.wake)
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
            held = await self._take(lane)
            if isinstance(held, Refusal):
                yield held
                return
            self._add(held)
            try:
                async with held.in_hand():
                    yield held
            finally:
                self._remove(held)
        finally:
            self._tasks.discard(task)

    async def _take(self, lane: str) -> Held | Refusal:
        nonce, terms, asked_at, suspect = secrets.token_hex(8), self._read_terms(), 0.0, False

        async def take() -> Lease | Refusal:
            nonlocal asked_at
            asked_at = time.monotonic()
            limit = terms.items
            return await self._lanes.take(lane, nonce, ttl=terms.ttl, limit=limit, suspect=suspect)

        held: Held | None = None
        try:
            taken = await insist(take, terms.ttl)
            if taken is Refusal.SUSPECT:
                suspect = self._suspects.reserve(nonce)
                if not suspect:
                    self._suspects.remember(lane)
                    return taken
                taken = await insist(take, terms.ttl)
            if isinstance(taken, Refusal):
                return taken
            held = self._make_held(taken, nonce, terms, asked_at)
            return held
        except asyncio.CancelledError:
            # The lane may be in hand already, and only the answer is on its way.
            with contextlib.suppress(StoreError):
                taken = await take()
                if isinstance(taken, Lease):
                    await self._make_held(taken, nonce, terms, asked_at).park()
            raise
        finally:
            if held is None or not held.suspect:
                self._suspects.free(nonce)

    def _make_held(self, lease: Lease, nonce: str, terms: LeaseTerms, asked_at: float) -> Held:
        if lease.suspect:
            log.warning("suspect lane in hand", lane=lease.lane, strikes=lease.strikes)
        enough = time.monotonic() + terms.seconds
        return Held(
            lease,
            self._lanes,
            self._wakeups,
            ttl=terms.ttl,
            asked_at=asked_at,
            goes_on=lambda: not self.draining and time.monotonic() < enough,
            clear=lambda: self._suspects.free(nonce),
        )

    async def look(self, lane: str) -> None:
        """Renews the lease of `lane` now, if it is held here: so a stop is prompt."""
        held = self._held.get(lane)
        if held is not None:
            await self._renew([held])

    def _add(self, held: Held) -> None:
        before = self._held.get(held.lane)
        if before is not None:
            before.lose()
        self._held[held.lane] = held
        if self._timer is None:
            self._schedule()

    def _remove(self, held: Held) -> None:
        held.clear()
        if self._held.get(held.lane) is held:
            del self._held[held.lane]
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._round is not None:
                self._round.cancel()

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._read_terms().every, self._tick)

    def _tick(self) -> None:
        self._schedule()
        if self._round is None or self._round.done():
            self._round = asyncio.get_running_loop().create_task(self._renew_all())

    async def _renew_all(self) -> None:
        """Renews in groups, which are spread over half of the interval: hundreds of leases at once
        would hold up the loop, and with it every stream that runs there."""
        held = list(self._held.values())
        groups = [held[n : n + RENEWED_TOGETHER] for n in range(0, len(held), RENEWED_TOGETHER)]
        pause = self._read_terms().every / 2 / max(1, len(groups))
        # Side by side, so that one slow answer does not hold up the other groups.
        await asyncio.gather(
            *(self._renew(group, delay=n * pause) for n, group in enumerate(groups))
        )

    async def _renew(self, group: Sequence[Held], *, delay: float = 0.0) -> None:
        if delay:
            await asyncio.sleep(delay)
        group = [held for held in group if self._held.get(held.lane) is held]
        group = [held for held in group if not held.given_back]
        if not group:
            return
        leases = [(held.lane, held.token) for held in group]
        asked_at, ttl = time.monotonic(), self._read_terms().ttl
        try:
            renewals = await self._lanes.renew_together(leases, ttl=ttl)
        except StoreError:
            # Nobody else can take the lanes while the store is away, so the work goes on; its
            # commits are fenced, and they retry.
            log.warning("leases not renewed, the store does not answer", leases=len(group))
            return
        for held, renewal in zip(group, renewals, strict=True):
            if renewal is None:
                held.lose()
            else:
                held.note_renewal(renewal, asked_at=asked_at, ttl=ttl)
