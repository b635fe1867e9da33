"""The prices of all models, by name: those that are configured, then list prices.

Nothing is fetched from the network. The list is part of the library genai-prices, which is imported
on first use: that takes half a second and 15 MB, and only what spends or shows money needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from sigil.money.price import Price
from sigil.money.price_list import find_list_price, load_price_list

if TYPE_CHECKING:
    from sigil.config.schema import PriceSettings, ProviderSettings

_MOST_CACHED = 4096
_LONGEST_NAME = 256


class PriceBook:
    """The prices of all models, by their full names. `providers` are the configured ones."""

    def __init__(self, providers: Mapping[str, ProviderSettings] | None = None) -> None:
        self._providers = providers or {}
        # Cached for each book, not for all: another configuration has other prices.
        self._find_cached = lru_cache(_MOST_CACHED)(self._find_price)

    def load(self) -> None:
        """Imports the library and its data, which blocks for half a second. A process with an
        event loop calls this before its loop runs, or in a thread."""
        load_price_list()

    def find_price(self, model: str) -> Price | None:
        """The price of `provider/model`; None if nobody knows it.

        A configured price comes first, by the model's exact name and then for `*`. Then comes the
        vendor's list price. The vendor is the one at a known `base_url`, or else the one of the
        provider's type, or of its name if the type is a class. A server elsewhere that speaks
        OpenAI's API belongs to its owner, and its price is unknown.
        """
        return self._find_cached(model)

    def _find_price(self, full_name: str) -> Price | None:
        provider, _, model = full_name.partition("/")
        if not model or len(full_name) > _LONGEST_NAME:
            return None
        settings = self._providers.get(provider)
        for name in (model, "*"):
            configured = settings.models.get(name) if settings else None
            if configured is not None and configured.price is not None:
                return _convert_price(configured.price)
        if ((settings.type if settings else None) or provider) == "echo":
            return Price(None)
        entry = find_list_price(provider, settings, model)
        return None if entry is None else Price.from_model(entry)


def _convert_price(price: PriceSettings) -> Price:
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice

    rates = {
        "input_mtok": price.input,
        "output_mtok": price.output,
        "cache_read_mtok": price.cached_input,
        "cache_write_mtok": price.cache_write,
    }
    # The text of a float is the number that the person wrote: 0.1, not 0.1000000000000000055.
    exact = {name: Decimal(str(rate)) for name, rate in rates.items() if rate is not None}
    model = ModelInfo(id="configured", match=ClauseEquals(""), prices=ModelPrice(**exact))
    return Price.from_model(model)
