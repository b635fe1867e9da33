"""What the calls of one model cost, in whole micro-dollars, rounded up.

A price is not one number. Cached input is cheaper, a long context may be dearer as a whole, some
vendors charge per call, and some prices change on a date or with the hour. The library genai-prices
knows all that, and computes what a finished call cost. What a call *can* cost is computed here,
from the dearest rates that may apply (`dearest_rates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from math import ceil
from typing import TYPE_CHECKING

from sigil.messages.conversation import MOST_TOKENS, bound_tokens
from sigil.money.amounts import MICRO_PER_USD
from sigil.money.dearest_rates import can_cost, find_dearest_rates
from sigil.money.usage import bound_usage

if TYPE_CHECKING:
    from genai_prices import types

    from sigil.messages.conversation import Usage

# Some list prices have 28 digits, as many as decimal's default context keeps of a result.
_EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens of a short call; a long context may be dearer."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs. `at` is the time of the call, by default now."""

    # None: no call can ever cost anything.
    _model: types.ModelInfo | None

    @classmethod
    def from_model(cls, model: types.ModelInfo) -> Price:
        """The price of a model of genai-prices. It is free if no rate is above zero."""
        return cls(model if can_cost(model) else None)

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
        dearest = find_dearest_rates(self._model, input_tokens, at)
        output = dearest.output * bound_tokens(output_tokens)
        return ceil(dearest.call + dearest.input * bound_tokens(input_tokens) + output)

    def compute_affordable_output(
        self, input_tokens: int, amount: int, *, at: datetime | None = None
    ) -> int:
        """The most output tokens with which the worst cost of a call is within `amount`
        micro-dollars. 0 if the input alone costs more; `MOST_TOKENS` if output costs nothing."""
        if self._model is None:
            return MOST_TOKENS if amount >= 0 else 0
        dearest = find_dearest_rates(self._model, input_tokens, at)
        left = amount - dearest.call - dearest.input * bound_tokens(input_tokens)
        if left < 0:
            return 0
        return min(left // dearest.output, MOST_TOKENS) if dearest.output else MOST_TOKENS


def _find_base(price: Decimal | types.TieredPrices | None, default: Decimal) -> Decimal:
    if price is None or isinstance(price, Decimal):
        return default if price is None else price
    return price.base
