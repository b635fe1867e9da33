"""What the budget store keeps: limits, holds and spending.

Three numbers describe a scope in one budget window:

    limit      what may be spent; configured, never stored
    spent      what settled calls have cost
    reserved   what calls under way may still cost: the sum of their holds

A new call fits if `limit - spent - reserved` covers it, in every scope and window at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_MICRO_USD = 10**12
"""The largest amount in a budget: a million dollars. Lua's numbers are exact up to 2^53, so 9,000
such amounts still add up exactly."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one scope may spend per hour and per day (UTC), in micro-dollars; None: no limit.

    `scope` is `session`, `user`, `workspace` or `all`; `subject` is the session's key, the
    user's id, the workspace's id, or empty for `all`.
    """

    scope: str
    subject: str = ""
    hour: int | None = None
    day: int | None = None

    @property
    def has_limit(self) -> bool:
        """Whether the hour or the day has a limit."""
        return self.hour is not None or self.day is not None


@dataclass(frozen=True, slots=True)
class NoRoom:
    """A reservation did not fit, and this window is why. If several windows lack room, it is the
    one that has room again last.

    `limit`, `left` and `spent` are micro-dollars; the rest of the limit is reserved by other
    calls. `resets_in` is in seconds.
    """

    scope: str
    subject: str
    window: str
    limit: int
    left: int
    resets_in: float
    spent: int


@dataclass(frozen=True, slots=True)
class Spending:
    """One window of one scope. Amounts are micro-dollars; `window` is `hour` or `day`;
    `resets_in` is in seconds."""

    scope: str
    subject: str
    window: str
    spent: int
    reserved: int
    resets_in: float


class BudgetStore(Protocol):
    """What was spent, and what is reserved. Amounts are integers in micro-dollars.

    The store's clock decides which hour and day it is. A hold belongs to the windows in which it
    was made, however late it is settled.
    """

    async def reserve(
        self, id: str, limits: Sequence[Limit], want: int, least: int, *, ttl: float
    ) -> int | NoRoom:
        """Makes a hold in all scopes or in none, and returns its amount.

        The amount is as much of `want` as every scope has room for, and at least `least`. Asking
        again with the same `id` returns the same amount. A hold that is not settled within `ttl`
        seconds counts as spent in full.
        """
        ...

    async def settle(self, id: str, spent: int) -> None:
        """Replaces a hold by what was spent. Does nothing if it was settled or has expired."""
        ...

    async def expire_holds(self, limit: int = 100) -> int:
        """Settles at most `limit` holds whose time is over, at their full amount. Returns how
        many."""
        ...

    async def read_spending(self, limits: Sequence[Limit]) -> list[Spending]:
        """The current hour and then the current day of each scope, in order."""
        ...

    async def list_subjects(self, scope: str, limit: int = 100) -> list[str]:
        """Who has reserved anything in this scope today, the latest first."""
        ...

    async def read_usage(self, scope: str, subject: str, day: str) -> Mapping[str, int]:
        """Counters (`input_tokens`, `output_tokens`, `turns`) of a `user` or `workspace`
        on a day (YYYY-MM-DD, UTC); empty if nothing was used."""
        ...
