"""One turn's meter: it reserves money before each model call and settles it afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.errors import BudgetExceeded, PriceUnknown, StoreError
from sigil.messages.conversation import Usage
from sigil.money.amounts import format_reset
from sigil.money.store import MOST_MICRO_USD, Limit, NoRoom
from sigil.money.usage import bound_usage
from sigil.money.worst_case import bound_input, bound_output
from sigil.providers.base import ModelInfo
from sigil.providers.chain.meter import Hold
from sigil.waiting import insist

if TYPE_CHECKING:
    from sigil.money.price import Price
    from sigil.money.price_book import PriceBook
    from sigil.money.store import BudgetStore
    from sigil.providers.base import ChatRequest

LEAST_OUTPUT = 256
"""An answer is not cut below this many tokens to fit a budget. The call is refused instead."""

_UNDO_S = 2.0
# A hold that is not settled counts in full in the end, so a short outage is worth waiting for.
_SETTLE_S = 10.0

_BUDGET_NAMES = {
    "session": "This conversation's budget",
    "user": "Your budget",
    "workspace": "This workspace's budget",
    "all": "The overall budget",
}
_WINDOW_NAMES = {"hour": "this hour", "day": "today"}


class TurnMeter:
    """What one turn may spend; a `sigil.providers.chain.meter.Meter`.

    `ttl` is how long a hold lives, in seconds.
    """

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
        self._refuses_unknown = not allow_unknown and any(limit.has_limit for limit in limits)
        self._ttl = ttl

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        """See `Meter`. A free model needs no hold, nor does one whose unknown price is allowed;
        for these the store is not asked."""
        output = bound_output(request, info)
        price = self._prices.find_price(model)
        if price is None and self._refuses_unknown:
            raise PriceUnknown(model)
        if price is None or price.is_free:
            return Hold("", 0, output)
        floor, input_tokens = min(LEAST_OUTPUT, output), bound_input(request, info)
        # At least 1, since the store takes no hold of nothing.
        least = max(1, price.compute_worst_cost(input_tokens, floor))
        want = max(least, price.compute_worst_cost(input_tokens, output))
        id = uuid.uuid4().hex
        amount = await self._reserve_amount(id, want, least)
        if amount < want:
            output = max(floor, min(output, price.compute_affordable_output(input_tokens, amount)))
        # If the answer breaks off, we may have paid for output that never reached us: thoughts,
        # or a tool call that was cut off while it was written. We cannot tell whether an
        # uncatalogued model thinks, so it counts as one that does.
        unseen = info.thinking or bool(request.tools) or info == ModelInfo(info.id)
        return Hold(id, amount, output, input_tokens, unseen)

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int | None:
        """See `Meter`. An assumed cost never exceeds the hold. A cost that the vendor counted may
        exceed it, because that money is spent. Raises `StoreError` if the store stays away."""
        price = self._prices.find_price(model)
        if price is None and (usage != Usage() or said):
            return None
        if price is None or not hold.id:
            return 0
        cost = _compute_charge(price, hold, usage, said=said, complete=complete)
        spent = min(cost, MOST_MICRO_USD)
        await insist(lambda: self._store.settle(hold.id, spent), _SETTLE_S)
        return spent

    async def _reserve_amount(self, id: str, want: int, least: int) -> int:
        try:
            answer = await self._store.reserve(id, self._limits, want, least, ttl=self._ttl)
        except (StoreError, asyncio.CancelledError):
            # The hold may have been made although its answer was lost. Nobody will use it, so it
            # is given back; if that fails too, it expires.
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(_UNDO_S):
                    await self._store.settle(id, 0)
            raise
        if isinstance(answer, NoRoom):
            raise _describe_no_room(answer, least)
        return answer


def _compute_charge(
    price: Price, hold: Hold, usage: Usage | None, *, said: int, complete: bool
) -> int:
    """What a call is charged, in micro-dollars: the vendor's count, or else the worst that can
    have happened. `said` counts the bytes of the answer that came."""
    counts = bound_usage(usage or Usage())
    reported = price.compute_cost(counts)
    if usage == Usage() and not said:
        return reported  # never billed
    # Every call has input and every answer has output; a zero there means "not counted".
    if complete and counts.input_tokens and (counts.output_tokens or not said):
        return reported
    # A token has at least one byte, so no more tokens came than bytes.
    arrived = hold.max_tokens if hold.unseen else min(said, hold.max_tokens)
    output = max(counts.output_tokens, arrived)
    if counts.input_tokens:
        assumed = price.compute_cost(replace(counts, output_tokens=output))
    else:
        assumed = price.compute_worst_cost(hold.input_tokens, output)
    return max(reported, min(assumed, hold.amount))


def _describe_no_room(no_room: NoRoom, least: int) -> BudgetExceeded:
    budget = f"{_BUDGET_NAMES[no_room.scope]} for {_WINDOW_NAMES[no_room.window]}"
    if no_room.limit < least:
        return BudgetExceeded(f"{budget} is too small for this message.", window=no_room.window)
    resets = f"it resets {format_reset(no_room.window, no_room.resets_in)}."
    if no_room.limit - no_room.spent >= least:
        # Other calls hold their worst case, and will give most of it back.
        text = f"{budget} is set aside for answers under way. Please try again soon; {resets}"
    elif no_room.left:
        text = f"{budget} does not cover this message any more; {resets}"
    else:
        text = f"{budget} is used up; {resets}"
    return BudgetExceeded(text, window=no_room.window, resets_in=no_room.resets_in)
