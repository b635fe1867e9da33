"""The dearest rates by which a call can be charged, whatever happens.

A reservation must cover the worst case. So of all prices that may apply until the call is settled,
and of all tiers that its input may reach, the highest rate counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from sigil.messages.conversation import MOST_TOKENS, bound_tokens

if TYPE_CHECKING:
    from genai_prices import types

# A call that is reserved now may be settled this much later, at the price of that time.
_AHEAD = timedelta(days=1)
_INPUT_RATES = ("input_mtok", "cache_read_mtok", "cache_write_mtok")
_OUTPUT_RATES = ("output_mtok", "output_reasoning_mtok")
_CALL_RATES = ("requests_kcount",)


@dataclass(frozen=True, slots=True)
class DearestRates:
    """Micro-dollars per token, and per call."""

    input: Fraction
    output: Fraction
    call: Fraction


def list_model_prices(model: types.ModelInfo) -> list[types.ModelPrice]:
    """All prices of a model, whenever each of them applies."""
    if isinstance(model.prices, list):
        return [conditional.prices for conditional in model.prices]
    return [model.prices]


def can_cost(model: types.ModelInfo) -> bool:
    """Whether any rate of a model is above zero."""
    return any(
        rate
        for prices in list_model_prices(model)
        for name in (*_INPUT_RATES, *_OUTPUT_RATES, *_CALL_RATES)
        for rate in _list_tiers(getattr(prices, name), MOST_TOKENS)
    )


def find_dearest_rates(
    model: types.ModelInfo, input_tokens: int, at: datetime | None
) -> DearestRates:
    """The dearest rates for a call with at most this much input, from `at` (by default now) until a
    day later."""
    possible = _list_possible_prices(model, at or datetime.now(UTC))

    def find_highest(names: tuple[str, ...]) -> Fraction:
        return max(
            (
                Fraction(rate)
                for prices in possible
                for name in names
                for rate in _list_tiers(getattr(prices, name), bound_tokens(input_tokens))
            ),
            default=Fraction(0),
        )

    # Dollars per million tokens are micro-dollars per token. Calls are priced by the thousand, and
    # dollars per thousand calls are a thousand micro-dollars per call.
    per_call = find_highest(_CALL_RATES) * 1000
    return DearestRates(find_highest(_INPUT_RATES), find_highest(_OUTPUT_RATES), per_call)


def _list_possible_prices(model: types.ModelInfo, at: datetime) -> list[types.ModelPrice]:
    """The prices that can apply from `at` until a day later.

    Of the prices whose condition holds, genai-prices takes the last one, and the first one if none
    holds. So the list is walked from its end. A start date says surely whether a price applies;
    a condition of another kind, such as an hour of the day, may hold at some time.
    """
    from genai_prices.types import StartDateConstraint

    if not isinstance(model.prices, list):
        return [model.prices]
    possible: list[types.ModelPrice] = []
    for conditional in reversed(model.prices):
        condition = conditional.constraint
        if isinstance(condition, StartDateConstraint) and not condition.active(at + _AHEAD):
            continue
        possible.append(conditional.prices)
        if condition is None or (
            isinstance(condition, StartDateConstraint) and condition.active(at)
        ):
            return possible
    return [*possible, model.prices[0].prices]


def _list_tiers(price: Decimal | types.TieredPrices | None, input_tokens: int) -> Iterator[Decimal]:
    """The rates that can apply to a call with at most this much input. A call that passes the
    start of a tier is charged by that tier as a whole."""
    if price is None or isinstance(price, Decimal):
        yield price or Decimal(0)
        return
    yield price.base
    for tier in price.tiers:
        if input_tokens > tier.start:
            yield tier.price
