"""What the budget store keeps: limits, reservations and spending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_MICRO_USD = 10**12
"""The largest amount in a budget: a million dollars."""


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


@dataclass(frozen=True, slots=True)
class Refused:
    """A reservation that did not fit: of the windows that have no room the one that has room
    again last, what is left in it and what was spent there (micro-dollars; the rest of the limit
    is reserved by others), and in how many seconds it resets."""

    scope: str
    subject: str
    window: str
    limit: int
    left: int
    resets_in: float
    spent: int


@dataclass(frozen=True, slots=True)
class Spending:
    """One window of one scope, in micro-dollars. `window` is `hour` or `day`."""

    scope: str
    subject: str
    window: str
    spent: int
    reserved: int
    resets_in: float


class BudgetStore(Protocol):
    """What was used, and what may still be spent. Amounts are integers in micro-dollars.

    Windows are those of the store's clock; a reservation belongs to the windows in which it was
    made, whenever it is settled.
    """

    async def reserve(
        self, id: str, limits: Sequence[Limit], want: int, least: int, *, ttl: float
    ) -> int | Refused:
        """Sets aside as much of `want` as every scope has room for, if that is at least
        `least`; all scopes or none. The same `id` is granted the same again. After `ttl`
        seconds without `settle` it counts as spent."""
        ...

    async def settle(self, id: str, spent: int) -> None:
        """Replaces the reservation by what was spent. One that was settled, or that expired,
        stays as it is."""
        ...

    async def expire(self, limit: int = 100) -> int:
        """Settles reservations whose time is over at their full amount; says how many."""
        ...

    async def spending(self, limits: Sequence[Limit]) -> list[Spending]:
        """The running hour and day of each of these scopes, in order."""
        ...

    async def subjects(self, scope: str, limit: int = 100) -> list[str]:
        """Who has spent something in this scope today, the latest first."""
        ...

    async def usage(self, scope: str, subject: str, day: str) -> Mapping[str, int]:
        """Counters (`input_tokens`, `output_tokens`, `turns`) of a `user` or `workspace`
        on a day (YYYY-MM-DD, UTC); empty if nothing was used."""
        ...
