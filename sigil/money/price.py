"""What the calls of one model cost, in whole micro-dollars, rounded up.

A price is not one number. Cached input is cheaper, a long context may be dearer as a whole, some
vendors charge per call, and some prices change on a date or with the hour. The library genai-prices
knows all that, and computes what a finished call cost. What a call *can* cost is computed here,
from the dearest rate that may apply.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from sigil.money.amounts import MICRO_PER_USD
from sigil.money.usage import MOST_TOKENS, bound_tokens, bound_usage

if TYPE_CHECKING:
    from genai_prices import types

    from sigil.conversation import Usage

# Some list prices have 28 digits, as many as decimal's default context keeps of a result.
_EXACT = Context(prec=80)
# A call that is reserved now may be settled this much later, at the price of that time.
_AHEAD = timedelta(days=1)
_INPUT_RATES = ("input_mtok", "cache_read_mtok", "cache_write_mtok")
_OUTPUT_RATES = ("output_mtok", "output_reasoning_mtok")
_CALL_RATES = ("requests_kcount",)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens of a short call; a long context may be dearer."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal


@dataclass(frozen=True, slots=True)
class _DearestRates:
    """Micro-dollars per token, and per call."""

    input: Fraction
    output: Fraction
    call: Fraction


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs. `at` is the time of the call, by default now."""

    # None: no call can ever cost anything.
    _model: types.ModelInfo | None

    @classmethod
    def from_model(cls, model: types.ModelInfo) -> Price:
        """The price of a model of genai-prices. It is free if no rate is above zero."""
        costs = any(
            rate
            for prices in list_model_prices(model)
            for name in (*_INPUT_RATES, *_OUTPUT_RATES, *_CALL_RATES)
            for rate in _list_tiers(getattr(prices, name), MOST_TOKENS)
        )
        return cls(model if costs else None)

    @property
    def is_free(self) -> bool:
        """Whether no call can cost anything."""
        return self._model is None

    def find_rates(self, *, at: datetime | None = None) -> Rates:
        """What a short call is charged by."""
        if self._model is None:
            return Rates(*[Decimal(0)] * 4)
        prices = self._model.get_prices(at or datetime.now(UTC))
        input_rate = _find_base(prices.input_mtok, Decimal(0))
        return Rates(
            input=input_rate,
            output=_find_base(prices.output_mtok, Decimal(0)),
            cached_input=_find_base(prices.cache_read_mtok, input_rate),
            cache_write=_find_base(prices.cache_write_mtok, input_rate),
        )

    def compute_cost(self, usage: Usage, *, at: datetime | None = None) -> int:
        """What a call with this usage costs, in micro-dollars.

        Nothing used costs nothing. Parts that exceed their whole are cut to it. Cache writes are
        charged as those that live for five minutes.
        """
        if self._model is None or not (usage.input_tokens > 0 or usage.output_tokens > 0):
            return 0
        from genai_prices.types import Usage as PricedUsage

        counts = bound_usage(usage)
        priced = PricedUsage(
            input_tokens=counts.input_tokens,
            cache_read_tokens=counts.cached_tokens,
            cache_write_tokens=counts.cache_write_tokens,
            output_tokens=counts.output_tokens,
            output_reasoning_tokens=counts.thinking_tokens,
        )
        prices = self._model.get_prices(at or datetime.now(UTC))
        with localcontext(_EXACT):
            dollars = prices.calc_price(priced)["total_price"]
            return int((dollars * MICRO_PER_USD).to_integral_value(ROUND_CEILING))

    def compute_worst_cost(
        self, input_tokens: int, output_tokens: int, *, at: datetime | None = None
    ) -> int:
        """The most micro-dollars that a call with at most these tokens can cost, if it is settled
        within a day."""
        if self._model is None:
            return 0
        dearest = _find_dearest_rates(self._model, input_tokens, at)
        output = dearest.output * bound_tokens(output_tokens)
        return ceil(dearest.call + dearest.input * bound_tokens(input_tokens) + output)

    def compute_affordable_output(
        self, input_tokens: int, amount: int, *, at: datetime | None = None
    ) -> int:
        """The most output tokens with which the worst cost of a call is within `amount`
        micro-dollars. 0 if the input alone costs more; `MOST_TOKENS` if output costs nothing."""
        if self._model is None:
            return MOST_TOKENS if amount >= 0 else 0
        dearest = _find_dearest_rates(self._model, input_tokens, at)
        left = amount - dearest.call - dearest.input * bound_tokens(input_tokens)
        if left < 0:
            return 0
        return min(left // dearest.output, MOST_TOKENS) if dearest.output else MOST_TOKENS


def list_model_prices(model: types.ModelInfo) -> list[types.ModelPrice]:
    """All prices of a model, whenever each of them applies."""
    if isinstance(model.prices, list):
        return [conditional.prices for conditional in model.prices]
    return [model.prices]


def _find_dearest_rates(
    model: types.ModelInfo, input_tokens: int, at: datetime | None
) -> _DearestRates:
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
    return _DearestRates(find_highest(_INPUT_RATES), find_highest(_OUTPUT_RATES), per_call)


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


def _find_base(price: Decimal | types.TieredPrices | None, default: Decimal) -> Decimal:
    if price is None or isinstance(price, Decimal):
        return default if price is None else price
    return price.base
