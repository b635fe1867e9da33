"""What a call of a model costs, and what it can cost at worst.

Money is whole micro-dollars, rounded up. Prices come from the configuration or else from the data
inside genai-prices; nothing is fetched. The library is imported on first use, which takes half a
second and 15 MB: only what spends or shows money needs it, and `PriceBook.load` takes it off the
event loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

from sigil.conversation import Usage

if TYPE_CHECKING:
    from genai_prices import types

# Beyond what any call can have.
MOST_TOKENS = 10**12
# Some list prices have 28 digits, as many as the default context keeps of a result.
_EXACT = Context(prec=80)
# A call that is reserved now may be settled, at the price of that time, this much later.
_AHEAD = timedelta(days=1)
_KNOWN_NAMES = 4096
_LONGEST_NAME = 256
_MICRO = 1_000_000
_INPUT = ("input_mtok", "cache_read_mtok", "cache_write_mtok")
_OUTPUT = ("output_mtok", "output_reasoning_mtok")
_REQUEST = ("requests_kcount",)
_VENDOR_OF = {"gemini": "google", "moonshot": "moonshotai", "xai": "x-ai"}
# Providers of OpenAI's API that by their name alone are known to be elsewhere.
_UNLISTED = frozenset({"deepinfra", "llamacpp", "lmstudio", "ollama", "vllm"})
# Under their own names these are the vendors also at another address, as behind a proxy; a server
# of one's own goes by another name.
_PROXIED = frozenset({"anthropic", "google", "openai"})


class Figures(Protocol):
    """A configured price, in US dollars per million tokens."""

    @property
    def input(self) -> float: ...
    @property
    def output(self) -> float: ...
    @property
    def cached_input(self) -> float | None: ...
    @property
    def cache_write(self) -> float | None: ...


class PricedModel(Protocol):
    """What is configured of a model, as far as money goes."""

    @property
    def price(self) -> Figures | None: ...


class PricedProvider(Protocol):
    """What is configured of a provider, as far as money goes."""

    @property
    def type(self) -> str | None: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def models(self) -> Mapping[str, PricedModel]: ...


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens; a long context may be dearer."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal


@dataclass(frozen=True, slots=True)
class _Ceiling:
    """Micro-dollars per token, and per call."""

    input: Fraction
    output: Fraction
    request: Fraction


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs. `at` is the time of the call, by default now: some prices change on
    a date or with the hour."""

    # None: no call can ever cost anything.
    _model: types.ModelInfo | None

    def cost(self, usage: Usage, *, at: datetime | None = None) -> int:
        """What a call with this usage costs, in micro-dollars. Nothing used costs nothing;
        parts that exceed their whole are cut to it. Cache writes are those of five minutes."""
        if self._model is None or not (usage.input_tokens > 0 or usage.output_tokens > 0):
            return 0
        with localcontext(_EXACT):
            dollars = self._prices(at).calc_price(_counted(usage))["total_price"]
            return int((dollars * _MICRO).to_integral_value(ROUND_CEILING))

    def worst(self, input_tokens: int, output_tokens: int, *, at: datetime | None = None) -> int:
        """The most that a call with at most these tokens can cost until a day later."""
        if self._model is None:
            return 0
        dearest = self._dearest(input_tokens, at)
        output = dearest.output * _bounded(output_tokens)
        return ceil(_before_output(dearest, input_tokens) + output)

    def affordable(self, input_tokens: int, amount: int, *, at: datetime | None = None) -> int:
        """The most output tokens with which a call costs no more than `amount` micro-dollars at
        worst; 0 if there are none, `MOST_TOKENS` if output costs nothing."""
        if self._model is None:
            return MOST_TOKENS if amount >= 0 else 0
        dearest = self._dearest(input_tokens, at)
        left = amount - _before_output(dearest, input_tokens)
        if left < 0:
            return 0
        return min(left // dearest.output, MOST_TOKENS) if dearest.output else MOST_TOKENS

    @property
    def free(self) -> bool:
        """Whether no call can cost anything."""
        return self._model is None

    def rates(self, *, at: datetime | None = None) -> Rates:
        """What a short call is charged by."""
        if self._model is None:
            return Rates(*[Decimal(0)] * 4)
        prices = self._prices(at)
        into = _base(prices.input_mtok, Decimal(0))
        return Rates(
            input=into,
            output=_base(prices.output_mtok, Decimal(0)),
            cached_input=_base(prices.cache_read_mtok, into),
            cache_write=_base(prices.cache_write_mtok, into),
        )

    def _prices(self, at: datetime | None) -> types.ModelPrice:
        assert self._model is not None
        return self._model.get_prices(at or datetime.now(UTC))

    def _dearest(self, input_tokens: int, at: datetime | None) -> _Ceiling:
        assert self._model is not None
        possible = _possible(self._model, at or datetime.now(UTC))

        def top(keys: tuple[str, ...]) -> Fraction:
            return max(
                (
                    Fraction(rate)
                    for prices in possible
                    for key in keys
                    for rate in _reachable(getattr(prices, key), _bounded(input_tokens))
                ),
                default=Fraction(0),
            )

        # Dollars per million tokens are micro-dollars per token; those per thousand calls are not.
        return _Ceiling(top(_INPUT), top(_OUTPUT), top(_REQUEST) * 1000)


class PriceBook:
    """The prices of all models, by their full names. `providers` is what is configured."""

    def __init__(self, providers: Mapping[str, PricedProvider] | None = None) -> None:
        self._providers = providers or {}
        self._known = lru_cache(_KNOWN_NAMES)(self._found)

    def load(self) -> None:
        """Imports the library and its data, which blocks for half a second: a process with an
        event loop calls this in a thread, before the first `price`."""
        from genai_prices.data_snapshot import get_snapshot

        get_snapshot()

    def price(self, model: str) -> Price | None:
        """The price of `provider/model`; None if nobody knows it.

        What is configured comes first, by the model's exact name and then for `*`. Then the
        vendor's list price: the vendor at a known `base_url`, or that of the provider's type, or
        name if its type is a class. A server elsewhere that speaks OpenAI's API is its owner's,
        whose price nobody can guess.
        """
        return self._known(model)

    def _found(self, full_name: str) -> Price | None:
        provider, _, model = full_name.partition("/")
        if not model or len(full_name) > _LONGEST_NAME:
            return None
        settings = self._providers.get(provider)
        for name in (model, "*"):
            own = settings.models.get(name) if settings else None
            if own is not None and own.price is not None:
                return _configured(own.price)
        if ((settings.type if settings else None) or provider) == "echo":
            return Price(None)
        try:
            return _priced(_listed(provider, settings, model))
        except LookupError:
            return None


def usd(micro: int) -> str:
    """An amount of micro-dollars for people: `$0.0123`, `$12.34`, `<$0.0001`."""
    if micro < 0:
        return f"-{usd(-micro)}"
    if 0 < micro < 100:
        return "<$0.0001"
    dollars = Decimal(micro) / _MICRO
    places = "0.01" if micro >= _MICRO else "0.0001"
    text = f"{dollars.quantize(Decimal(places), ROUND_HALF_UP):,f}"
    whole, _, part = text.partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


def _listed(provider: str, settings: PricedProvider | None, model: str) -> types.ModelInfo:
    """What genai-prices knows of a model. Raises `LookupError`."""
    from genai_prices.data_snapshot import get_snapshot

    vendors = get_snapshot().providers
    vendor = _vendor(vendors, provider, settings)
    found = vendor.find_model(model.removeprefix("models/"), all_providers=vendors)
    if found is None or not _counts_tokens(found):
        raise LookupError(model)
    return found


def _vendor(
    vendors: list[types.Provider], provider: str, settings: PricedProvider | None
) -> types.Provider:
    """Who is called. Raises `LookupError`."""
    known = {vendor.id: vendor for vendor in vendors}
    url = settings.base_url if settings else None
    if settings is None or url is None:
        return known[_called(provider, settings, known)]
    at_url = next((vendor for vendor in vendors if re.match(vendor.api_pattern, url)), None)
    if at_url is not None:
        return at_url
    kind = settings.type or provider
    if ":" not in kind and (kind not in _PROXIED or kind != provider):
        raise LookupError(url)
    return known[_VENDOR_OF.get(provider, provider)]


def _called(
    provider: str, settings: PricedProvider | None, known: Mapping[str, types.Provider]
) -> str:
    """The id of the vendor that a provider calls when it is given no address."""
    kind = (settings.type if settings else None) or provider
    if ":" in kind:
        kind = provider
    elif settings is not None and "server" in settings.options:
        kind = str(settings.options["server"])
    elif kind == "openai" and (
        provider in known or provider in _VENDOR_OF or provider in _UNLISTED
    ):
        kind = provider
    return _VENDOR_OF.get(kind, kind)


def _counts_tokens(model: types.ModelInfo) -> bool:
    """Whether all that a chat costs is listed. Nothing listed at all means that it is free; what
    is paid by the second or by the page, or is paid for its input only, does not chat."""
    for prices in _price_sets(model):
        if vars(prices) and (prices.input_mtok is None or prices.output_mtok is None):
            return False
    return bool(_price_sets(model))


def _price_sets(model: types.ModelInfo) -> list[types.ModelPrice]:
    if isinstance(model.prices, list):
        return [conditional.prices for conditional in model.prices]
    return [model.prices]


def _possible(model: types.ModelInfo, at: datetime) -> list[types.ModelPrice]:
    """The prices that can apply from `at` until a day later; the last that applies is taken."""
    from genai_prices.types import StartDateConstraint

    if not isinstance(model.prices, list):
        return [model.prices]
    possible: list[types.ModelPrice] = []
    for conditional in reversed(model.prices):
        since = conditional.constraint
        if isinstance(since, StartDateConstraint) and not since.active(at + _AHEAD):
            continue
        possible.append(conditional.prices)
        if since is None or (isinstance(since, StartDateConstraint) and since.active(at)):
            return possible
    return [*possible, model.prices[0].prices]


def _reachable(price: Decimal | types.TieredPrices | None, input_tokens: int) -> Iterator[Decimal]:
    """The rates that apply to a call with at most this much input."""
    if price is None or isinstance(price, Decimal):
        yield price or Decimal(0)
        return
    yield price.base
    for tier in price.tiers:
        if input_tokens > tier.start:
            yield tier.price


def _base(price: Decimal | types.TieredPrices | None, otherwise: Decimal) -> Decimal:
    if price is None or isinstance(price, Decimal):
        return otherwise if price is None else price
    return price.base


def _before_output(dearest: _Ceiling, input_tokens: int) -> Fraction:
    return dearest.input * _bounded(input_tokens) + dearest.request


def _bounded(tokens: int, most: int = MOST_TOKENS) -> int:
    return min(max(tokens, 0), most)


def _counted(usage: Usage) -> types.Usage:
    from genai_prices.types import Usage as Counted

    into, out = _bounded(usage.input_tokens), _bounded(usage.output_tokens)
    cached = _bounded(usage.cached_tokens, into)
    return Counted(
        input_tokens=into,
        cache_read_tokens=cached,
        cache_write_tokens=_bounded(usage.cache_write_tokens, into - cached),
        output_tokens=out,
        output_reasoning_tokens=_bounded(usage.thinking_tokens, out),
    )


def _configured(figures: Figures) -> Price:
    named = {
        "input_mtok": figures.input,
        "output_mtok": figures.output,
        "cache_read_mtok": figures.cached_input,
        "cache_write_mtok": figures.cache_write,
    }
    # By way of its text a float is the number that was written.
    return _price({key: Decimal(str(rate)) for key, rate in named.items() if rate is not None})


def _price(rates: dict[str, Decimal]) -> Price:
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice

    return _priced(ModelInfo(id="configured", match=ClauseEquals(""), prices=ModelPrice(**rates)))


def _priced(model: types.ModelInfo) -> Price:
    costs = any(
        rate
        for prices in _price_sets(model)
        for key in (*_INPUT, *_OUTPUT, *_REQUEST)
        for rate in _reachable(getattr(prices, key), MOST_TOKENS)
    )
    return Price(model if costs else None)
