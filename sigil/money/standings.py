"""How scopes stand against their limits: the figures behind /usage and `sigil budget`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigil.money.store import BudgetStore, Limit


@dataclass(frozen=True, slots=True)
class Standing:
    """One window of one scope against its limit.

    Amounts are micro-dollars. Without a limit, `limit` and `left` are None. `resets_in` is in
    seconds.
    """

    scope: str
    subject: str
    window: str
    limit: int | None
    spent: int
    reserved: int
    left: int | None
    resets_in: float


async def read_standings(store: BudgetStore, limits: Sequence[Limit]) -> list[Standing]:
    """The current hour and then the current day of each scope, in order."""
    spending = await store.read_spending(limits)
    amounts = [amount for limit in limits for amount in (limit.hour, limit.day)]
    return [
        Standing(
            now.scope,
            now.subject,
            now.window,
            amount,
            now.spent,
            now.reserved,
            None if amount is None else max(0, amount - now.spent - now.reserved),
            now.resets_in,
        )
        for now, amount in zip(spending, amounts, strict=True)
    ]
