"""Dollar limits: what each scope may spend, and one turn's meter, which reserves before a call
and settles after it.

Money is whole micro-dollars. Limits hold per hour and per day (UTC) for the session, the user,
the workspace and all together; a call is paid for in all four or not made.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from sigil.conversation import Usage
from sigil.errors import BudgetExceeded, ConfigError, PriceUnknown, StoreError
from sigil.money.store import MOST_MICRO_USD, Limit, Refused
from sigil.money.worst_case import counted, most_input, most_output
from sigil.providers.base import ModelInfo
from sigil.providers.chain.meter import Hold
from sigil.waiting import insist

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.config.schema import DollarLimits
    from sigil.money.pricing import Price, PriceBook
    from sigil.money.store import BudgetStore
    from sigil.providers.base import ChatRequest

MICRO = 1_000_000
LEAST_OUTPUT = 256
"""An answer is not cut below this many tokens to make it fit; rather it is refused."""

# A hold outlives the call that it pays for, with a second try and some room.
_CALLS_PER_HOLD, _MARGIN_S = 2, 60.0
_UNDO_S = 2.0
# What is not settled counts at its worst when it expires, so that a short outage is waited for.
_SETTLE_S = 10.0

_WHOSE = {
    "session": "This conversation's budget",
    "user": "Your budget",
    "workspace": "This workspace's budget",
    "all": "The overall budget",
}
_SPANS = {"hour": "this hour", "day": "today"}


@dataclass(frozen=True, slots=True)
class Standing:
    """One window of one scope against its limit, in micro-dollars; no limit: None, and nothing
    is `left` or not. `resets_in` is in seconds."""

    scope: str
    subject: str
    window: str
    limit: int | None
    spent: int
    reserved: int
    left: int | None
    resets_in: float


class Budgets:
    """What may be spent under these settings. One per process."""

    def __init__(self, store: BudgetStore, prices: PriceBook, settings: Settings) -> None:
        self._store = store
        self._prices = prices
        self._settings = settings

    def limits(self, session_key: str, user_id: str, workspace_id: str) -> list[Limit]:
        """The four scopes of a turn. `workspace_id` is the workspace's `scope`, which tells
        everybody's personal workspaces apart."""
        scopes = (
            ("session", session_key),
            ("user", user_id),
            ("workspace", workspace_id),
            ("all", ""),
        )
        return [limit_of(self._settings, scope, subject) for scope, subject in scopes]

    def meter(self, *, session_key: str, user_id: str, workspace_id: str) -> TurnMeter:
        """The meter of one turn, with the limits of now."""
        return TurnMeter(
            self._store,
            self._prices,
            self.limits(session_key, user_id, workspace_id),
            allow_unknown=self._settings.budgets.unknown_price == "allow",
            ttl=_CALLS_PER_HOLD * self._settings.timeouts.model_call + _MARGIN_S,
        )

    async def overview(self, limits: Sequence[Limit]) -> list[Standing]:
        """The running hour and day of each scope; see `overview`."""
        return await overview(self._store, limits)


class TurnMeter:
    """What one turn may spend; a `sigil.providers.base.Meter`. `ttl` is in seconds."""

    def __init__(
        self,
        store: BudgetStore,
        prices: PriceBook,
        limits: Sequence[Limit],
        *,
        allow_unknown: bool,
        ttl: float,
    ) -> None:
        self._store = store
        self._prices = prices
        self._limits = limits
        self._refuses_unknown = not allow_unknown and any(map(_in_dollars, limits))
        self._ttl = ttl

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        """See `Meter`. A model that is free, or whose price is unknown where that is allowed,
        needs no hold, and nothing is asked of the store."""
        output = most_output(request, info)
        price = self._prices.price(model)
        if price is None and self._refuses_unknown:
            raise PriceUnknown(model)
        if price is None or price.free:
            return Hold("", 0, output)
        floor, into = min(LEAST_OUTPUT, output), most_input(request)
        least = max(1, price.worst(into, floor))
        want = max(least, price.worst(into, output))
        id = uuid.uuid4().hex
        granted = await self._granted(id, want, least)
        if granted < want:
            output = max(floor, min(output, price.affordable(into, granted)))
        # A call of a tool that is cut off while it is written was never seen. Whether a model
        # thinks that nobody knows anything about cannot be said.
        unseen = info.thinking or bool(request.tools) or info == ModelInfo(info.id)
        return Hold(id, granted, output, into, unseen)

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int:
        """See `Meter`. What is assumed is never more than the hold; what the vendor counted may
        be, since it is spent. Raises `StoreError` if the store stays away."""
        price = self._prices.price(model)
        if not hold.id or price is None:
            return 0
        spent = min(_cost(price, hold, usage, said, complete), MOST_MICRO_USD)
        await insist(lambda: self._store.settle(hold.id, spent), _SETTLE_S)
        return spent

    async def _granted(self, id: str, want: int, least: int) -> int:
        try:
            answer = await self._store.reserve(id, self._limits, want, least, ttl=self._ttl)
        except (StoreError, asyncio.CancelledError):
            # It may have been granted all the same, and nobody will ever use it.
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(_UNDO_S):
                    await self._store.settle(id, 0)
            raise
        if isinstance(answer, Refused):
            raise _exceeded(answer, least)
        return answer


def limit_of(settings: Settings, scope: str, subject: str = "") -> Limit:
    """The limits of one scope; those of a user or workspace go before the general ones, window
    by window."""
    budgets = settings.budgets
    if scope == "all":
        return _limit(scope, "", budgets)
    if scope == "session":
        return _limit(scope, subject, budgets.session)
    if scope == "user":
        user = settings.users.get(subject)
        return _limit(scope, subject, *([user.budget] if user else []), budgets.user)
    workspace = settings.workspaces.get(subject)
    return _limit(scope, subject, *([workspace.budget] if workspace else []), budgets.workspace)


async def overview(store: BudgetStore, limits: Sequence[Limit]) -> list[Standing]:
    """The running hour and day of each scope, in order."""
    found = []
    spending = await store.spending(limits)
    most = [amount for limit in limits for amount in (limit.hour, limit.day)]
    for now, limit in zip(spending, most, strict=True):
        left = None if limit is None else max(0, limit - now.spent - now.reserved)
        found.append(
            Standing(
                now.scope,
                now.subject,
                now.window,
                limit,
                now.spent,
                now.reserved,
                left,
                now.resets_in,
            )
        )
    return found


async def known_scopes(store: BudgetStore, settings: Settings) -> list[Limit]:
    """All together, then every workspace and user that is configured or has spent something
    today; not sessions."""
    limits = [limit_of(settings, "all")]
    for scope, configured in (("workspace", settings.workspaces), ("user", settings.users)):
        subjects = dict.fromkeys((*configured, *await store.subjects(scope)))
        limits += [limit_of(settings, scope, subject) for subject in subjects]
    return limits


def limits_dollars(settings: Settings) -> bool:
    """Whether any limit in dollars is configured."""
    return any(
        section.max_hour_usd is not None or section.max_day_usd is not None
        for section in _sections(settings)
    )


def check_prices(settings: Settings, prices: PriceBook) -> None:
    """Raises `ConfigError` naming every configured model without a price, if dollars are limited
    anywhere and an unknown price is to be refused."""
    if settings.budgets.unknown_price == "allow" or not limits_dollars(settings):
        return
    unknown = [f"{path} ({name})" for path, name in _models(settings) if prices.price(name) is None]
    if unknown:
        raise ConfigError(
            f"{', '.join(unknown)}: the price is unknown, and a budget in dollars is set.",
            hint="Set providers.<name>.models.<model>.price, or budgets.unknown_price: allow.",
        )


def reset_text(window: str, seconds: float) -> str:
    """When an `hour` or `day` resets of which so many seconds are left, in words."""
    if window == "day":
        return "at 00:00 UTC"
    minutes = max(1, ceil(seconds / 60))
    return f"in {minutes} minute{'s' if minutes > 1 else ''}"


def _cost(price: Price, hold: Hold, usage: Usage | None, said: int, complete: bool) -> int:
    counts = counted(usage or Usage())
    told = price.cost(counts)
    if usage == Usage() and not said:
        return told  # never billed
    # There is no call without input, and no answer without output: such a count is none.
    if complete and counts.input_tokens and (counts.output_tokens or not said):
        return told
    seen = hold.max_tokens if hold.unseen else min(said, hold.max_tokens)
    output = max(counts.output_tokens, seen)
    if counts.input_tokens:
        assumed = price.cost(replace(counts, output_tokens=output))
    else:
        assumed = price.worst(hold.input_tokens, output)
    return max(told, min(assumed, hold.amount))


def _exceeded(refused: Refused, least: int) -> BudgetExceeded:
    budget = f"{_WHOSE[refused.scope]} for {_SPANS[refused.window]}"
    if refused.limit < least:
        return BudgetExceeded(f"{budget} is too small for this message.", window=refused.window)
    resets = f"it resets {reset_text(refused.window, refused.resets_in)}."
    if refused.limit - refused.spent >= least:
        # What others have reserved is more than they will use.
        text = f"{budget} is set aside for answers under way. Please try again soon; {resets}"
    elif refused.left:
        text = f"{budget} does not cover this message any more; {resets}"
    else:
        text = f"{budget} is used up; {resets}"
    return BudgetExceeded(text, window=refused.window, resets_in=refused.resets_in)


def _limit(scope: str, subject: str, *sources: DollarLimits) -> Limit:
    """The first source that says something of a window decides it."""
    hour = next((s.max_hour_usd for s in sources if s.max_hour_usd is not None), None)
    day = next((s.max_day_usd for s in sources if s.max_day_usd is not None), None)
    return Limit(scope, subject, _micro(hour), _micro(day))


def _micro(usd: float | None) -> int | None:
    return None if usd is None else round(usd * MICRO)


def _in_dollars(limit: Limit) -> bool:
    return limit.hour is not None or limit.day is not None


def _sections(settings: Settings) -> Iterator[DollarLimits]:
    budgets = settings.budgets
    yield from (budgets, budgets.session, budgets.user, budgets.workspace)
    yield from (user.budget for user in settings.users.values())
    yield from (workspace.budget for workspace in settings.workspaces.values())


def _models(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "models.default", settings.models.default
    for name in settings.models.failover:
        yield "models.failover", name
    for id, workspace in settings.workspaces.items():
        if workspace.model is not None:
            yield f"workspaces.{id}.model", workspace.model
