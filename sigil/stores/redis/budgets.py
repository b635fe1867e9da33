"""Limits, holds and spending in Redis, and the usage counters of tokens.

`lua/_budgets.lua` and the scripts on top of it reserve, settle and expire money, each in one step
over all scopes. The usage counters are written by the commits of turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigil.errors import EffectRejected
from sigil.money.store import MOST_MICRO_USD, NoRoom, Spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigil.money.store import Limit
    from sigil.stores.redis.client import Client

_WINDOWS = ("hour", "day")


class RedisBudgets:
    """A `BudgetStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def reserve(
        self, id: str, limits: Sequence[Limit], want: int, least: int, *, ttl: float
    ) -> int | NoRoom:
        """See `BudgetStore`. Raises `EffectRejected` if an amount is below 1 or above
        `MOST_MICRO_USD`, or if a scope is named twice; then no hold was made."""
        _check_amount(least, "least", 1, want)
        _check_amount(want, "want", least)
        if len({(limit.scope, limit.subject) for limit in limits}) != len(limits):
            raise EffectRejected("a scope of this reservation is named twice.")
        scopes = [argument for limit in limits for argument in self._encode_limit(limit)]
        args = (self._keys.budget_hold(id), want, least, round(ttl * 1000), *scopes)
        answer = await self._client.run_script("reserve", args=args)
        if answer[0] == b"held":
            return int(answer[1])
        if answer[0] == b"rejected":
            raise EffectRejected(f"{answer[1].decode()}.")
        number, window, amount, left, resets, spent = answer[1:]
        limit = limits[int(number) - 1]
        return NoRoom(
            limit.scope,
            limit.subject,
            window.decode(),
            int(amount),
            int(left),
            int(resets) / 1000,
            int(spent),
        )

    async def settle(self, id: str, spent: int) -> None:
        """See `BudgetStore`. Raises `EffectRejected` for an amount over `MOST_MICRO_USD`."""
        _check_amount(spent, "what was spent")
        await self._client.run_script("settle", args=(self._keys.budget_hold(id), spent))

    async def expire_holds(self, limit: int = 100) -> int:
        """See `BudgetStore`."""
        return int(await self._client.run_script("expire", args=(limit,)))

    async def read_spending(self, limits: Sequence[Limit]) -> list[Spending]:
        """See `BudgetStore`."""
        scopes = [self._keys.budget(limit.scope, limit.subject) for limit in limits]
        answer = await self._client.run_script("spending", args=scopes)
        windows = [(limit, window) for limit in limits for window in _WINDOWS]
        return [
            Spending(
                limit.scope, limit.subject, window, int(spent), int(reserved), int(resets) / 1000
            )
            for (limit, window), (spent, reserved, resets) in zip(windows, answer, strict=True)
        ]

    async def list_subjects(self, scope: str, limit: int = 100) -> list[str]:
        """See `BudgetStore`."""
        args = (self._keys.budget_subjects(scope), max(1, limit))
        subjects = await self._client.run_script("subjects", args=args)
        return [subject.decode("utf-8", "surrogatepass") for subject in subjects]

    async def read_usage(self, scope: str, subject: str, day: str) -> Mapping[str, int]:
        """See `BudgetStore`."""
        with self._client.guard():
            counters: Any = await self._client.redis.hgetall(self._keys.usage(scope, subject, day))
        return {name.decode(): int(count) for name, count in counters.items()}

    def _encode_limit(self, limit: Limit) -> tuple[Any, ...]:
        for window, amount in zip(_WINDOWS, (limit.hour, limit.day), strict=True):
            if amount is not None:
                _check_amount(amount, f"the limit per {window}")
        return (
            self._keys.budget(limit.scope, limit.subject),
            "" if limit.hour is None else limit.hour,
            "" if limit.day is None else limit.day,
            self._keys.budget_subjects(limit.scope),
            limit.subject.encode("utf-8", "surrogatepass"),
        )


def _check_amount(amount: int, what: str, least: int = 0, most: int = MOST_MICRO_USD) -> None:
    if not least <= amount <= min(most, MOST_MICRO_USD):
        raise EffectRejected(f"{what} is out of bounds: {amount} micro-dollars.")
