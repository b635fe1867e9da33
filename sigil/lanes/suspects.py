"""One suspect lane at a time: so a message that ends its process does not take others with it.

A process that dies loses the leases of all its lanes, and nobody knows which of them it died of.
Who has lost two is suspect. A process holds one suspect lane at a time, beside all those that are
not: it either is handled, and no suspect any more, or the process dies of it, and then it was this
one. Several processes share the suspect lanes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# The sweep finds those that are not remembered.
MOST_REMEMBERED = 1000
# A lane that was woken should have been taken by then, by this process or by another one.
WAKE_NEXT_S = 0.25


class SuspectPlace:
    """The place for one suspect lane in this process. A lane that finds it taken is remembered and
    woken when the place is free."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._owner: str | None = None
        self._remembered: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def reserve(self, owner: str) -> bool:
        """Whether `owner`, who is named by a nonce, has the place now."""
        if self._owner is None:
            self._owner = owner
        return self._owner == owner

    def free(self, owner: str) -> None:
        """Frees the place, if it is the owner's."""
        if self._owner == owner:
            self._owner = None
            self._wake_next()

    def remember(self, lane: str) -> None:
        """Has the lane woken when the place is free."""
        if len(self._remembered) < MOST_REMEMBERED:
            self._remembered[lane] = None
        if self._timer is None:
            self._wake_next()

    def _wake_next(self) -> None:
        """Wakes one lane after the other, as long as the place is free: another process may take
        the one that was woken, or its wake-up may be lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._owner is not None or not self._remembered:
            return
        lane = next(iter(self._remembered))
        del self._remembered[lane]
        self._wake(lane)
        self._timer = asyncio.get_running_loop().call_later(WAKE_NEXT_S, self._wake_next)
