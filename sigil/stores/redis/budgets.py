"""What was used, and what may be spent, in Redis.

The counters of tokens are written by the commits of turns. Money is reserved, settled and
expired by `lua/_budgets.lua` and the scripts that use it, in one step over all scopes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigil.errors import EffectRejected
from sigil.money.store import MOST_MICRO_USD, NoRoom, Spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigil.money.store import Limit
    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys

_WINDOWS = ("hour", "day")


class RedisBudgets:
    """The one implementation of `BudgetStore`."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def reserve(
        self, id: str, limits: Sequence[Limit], want: int, least: int, *, ttl: float
    ) -> int | NoRoom:
        """See `BudgetStore`. Raises `EffectRejected` for an amount over `MOST_MICRO_USD`, one
        below 1, or a scope that is named twice; then nothing was set aside."""
        _check(least, "least", 1, want)
        _check(want, "want", least)
        if len({(limit.scope, limit.subject) for limit in limits}) != len(limits):
            raise EffectRejected("a scope of this reservation is named twice.")
        scopes = [argument for limit in limits for argument in self._scope(limit)]
        hold = self._keys.budget_hold(id)
        args = (hold, want, least, round(ttl * 1000), *scopes)
        answer = await self._client.script("reserve", args=args)
        if answer[0] == b"held":
            return int(answer[1])
        number, window, most, left, resets, spent = answer[1:]
        limit = limits[int(number) - 1]
        return NoRoom(
            limit.scope,
            limit.subject,
            window.decode(),
            int(most),
            int(left),
            int(resets) / 1000,
            int(spent),
        )

    def _scope(self, limit: Limit) -> tuple[Any, ...]:
        for window, amount in zip(_WINDOWS, (limit.hour, limit.day), strict=True):
            if amount is not None:
                _check(amount, f"the limit per {window}")
        return (
            self._keys.budget(limit.scope, limit.subject),
            "" if limit.hour is None else limit.hour,
            "" if limit.day is None else limit.day,
            self._keys.budget_subjects(limit.scope),
            limit.subject.encode("utf-8", "surrogatepass"),
        )

    async def settle(self, id: str, spent: int) -> None:
        """See `BudgetStore`. Raises `EffectRejected` for an amount over `MOST_MICRO_USD`."""
        _check(spent, "what was spent")
        await self._client.script("settle", args=(self._keys.budget_hold(id), spent))

    async def expire_holds(self, limit: int = 100) -> int:
        """See `BudgetStore`."""
        return int(await self._client.script("expire", args=(limit,)))

    async def read_spending(self, limits: Sequence[Limit]) -> list[Spending]:
        """See `BudgetStore`."""
        scopes = [self._keys.budget(limit.scope, limit.subject) for limit in limits]
        found = await self._client.script("spending", args=scopes)
        windows = [(limit, window) for limit in limits for window in _WINDOWS]
        return [
            Spending(
                limit.scope, limit.subject, window, int(spent), int(reserved), int(resets) / 1000
            )
            for (limit, window), (spent, reserved, resets) in zip(windows, found, strict=True)
        ]

    async def list_subjects(self, scope: str, limit: int = 100) -> list[str]:
        """See `BudgetStore`."""
        args = (self._keys.budget_subjects(scope), max(1, limit))
        found = await self._client.script("subjects", args=args)
        return [subject.decode("utf-8", "surrogatepass") for subject in found]

    async def read_usage(self, scope: str, subject: str, day: str) -> Mapping[str, int]:
        """Counters of a `user` or `workspace` on a day (YYYY-MM-DD, UTC); empty if nothing
        was used."""
        with self._client.guard():
            found: Any = await self._client.redis.hgetall(self._keys.usage(scope, subject, day))
        return {name.decode(): int(count) for name, count in found.items()}


def _check(amount: int, what: str, least: int = 0, most: int = MOST_MICRO_USD) -> None:
    if not least <= amount <= min(most, MOST_MICRO_USD):
        raise EffectRejected(f"{what} is out of bounds: {amount} micro-dollars.")
