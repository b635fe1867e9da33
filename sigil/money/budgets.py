"""Dollar budgets: what each scope may spend, and how a turn pays for its model calls.

What a call costs is only known when it is over, and many calls run at once. If each of them were
compared with what has been spent so far, all of them would pass, and together they would overspend.
So money is set aside before a call, like a deposit, and corrected after it::

    reserve   Work out the worst case: the most tokens that the call can have (`worst_case`), at the
              dearest rate that can apply (`price`). Hold that amount in four scopes at once:
              the session, the user, the workspace, and all together.
    call      The model answers, fails, or is stopped.
    settle    Replace the hold by what the call has cost.

    a user's day, limit $1.00
    |#### spent ####|=== reserved ===|........... room for new holds ...........|

Each scope has two windows, the current hour and the current day (UTC). A hold needs room in every
window of every scope. If there is less room than the worst case, the hold gets what is there and
the answer is cut to what that pays for, as long as this is a useful length (`LEAST_OUTPUT`).
Otherwise the call is refused, and nothing is held anywhere.

A worker may die between reserving and settling. Nobody then knows whether the vendor was called, so
after a while the hold counts as spent in full. Assuming less would let people spend more by killing
workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sigil.money.limits import find_limit
from sigil.money.standings import Standing, read_standings
from sigil.money.turn_meter import TurnMeter

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.money.price_book import PriceBook
    from sigil.money.store import BudgetStore, Limit

# A hold lives as long as two calls may take, since a failed call is tried once more, and a minute.
_CALLS_PER_HOLD, _MARGIN_S = 2, 60.0


class Budgets:
    """What may be spent under these settings. One per process."""

    def __init__(self, store: BudgetStore, prices: PriceBook, settings: Settings) -> None:
        self._store = store
        self._prices = prices
        self._settings = settings

    def find_limits(self, session_key: str, user_id: str, workspace_id: str) -> list[Limit]:
        """The limits of a turn's four scopes.

        `workspace_id` is the workspace's `scope`, which differs for each person's personal
        workspace.
        """
        scopes = (
            ("session", session_key),
            ("user", user_id),
            ("workspace", workspace_id),
            ("all", ""),
        )
        return [find_limit(self._settings, scope, subject) for scope, subject in scopes]

    def open_meter(self, *, session_key: str, user_id: str, workspace_id: str) -> TurnMeter:
        """The meter of one turn, with the limits as they are now."""
        return TurnMeter(
            self._store,
            self._prices,
            self.find_limits(session_key, user_id, workspace_id),
            allow_unknown=self._settings.budgets.unknown_price == "allow",
            ttl=_CALLS_PER_HOLD * self._settings.timeouts.model_call + _MARGIN_S,
        )

    async def read_standings(self, limits: Sequence[Limit]) -> list[Standing]:
        """The current hour and then the current day of each scope, in order."""
        return await read_standings(self._store, limits)
