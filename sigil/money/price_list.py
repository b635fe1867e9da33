"""The list prices inside genai-prices, and which vendor a configured provider calls.

The same model costs differently at different vendors, and a server of one's own costs what its
owner pays for it, which nobody can look up. So the vendor is decided first, by the address that is
called, or else by the provider's type and name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sigil.money.dearest_rates import list_model_prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genai_prices import types

    from sigil.config.schema import ProviderSettings

# What some providers are called in Sigil, and their vendors in genai-prices.
_VENDOR_IDS = {"gemini": "google", "moonshot": "moonshotai", "xai": "x-ai"}
# Servers that speak OpenAI's API and are not OpenAI: their name alone says so, and no list has
# their prices.
_UNLISTED = frozenset({"deepinfra", "llamacpp", "lmstudio", "ollama", "vllm"})
# Under these names another address is a proxy before the vendor. A server of one's own goes by
# another name.
_PROXIED = frozenset({"anthropic", "google", "openai"})


def load_price_list() -> list[types.Provider]:
    """All vendors of the list. The first call imports the data, which takes half a second."""
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


def find_list_price(
    provider: str, settings: ProviderSettings | None, model: str
) -> types.ModelInfo | None:
    """A model's entry in its vendor's price list; None if it has none that covers a chat."""
    vendors = load_price_list()
    vendor = _find_vendor(vendors, provider, settings)
    if vendor is None:
        return None
    entry = vendor.find_model(model.removeprefix("models/"), all_providers=vendors)
    return entry if entry is not None and _prices_chats(entry) else None


def _find_vendor(
    vendors: list[types.Provider], provider: str, settings: ProviderSettings | None
) -> types.Provider | None:
    by_id = {vendor.id: vendor for vendor in vendors}
    url = settings.base_url if settings else None
    if settings is None or url is None:
        return by_id.get(_find_vendor_id(provider, settings, by_id))
    at_url = next((vendor for vendor in vendors if re.match(vendor.api_pattern, url)), None)
    if at_url is not None:
        return at_url
    kind = settings.type or provider
    if ":" not in kind and (kind not in _PROXIED or kind != provider):
        return None
    return by_id.get(_VENDOR_IDS.get(provider, provider))


def _find_vendor_id(
    provider: str, settings: ProviderSettings | None, by_id: Mapping[str, types.Provider]
) -> str:
    """The vendor that a provider calls if it is given no address."""
    kind = (settings.type if settings else None) or provider
    has_listed_name = provider in by_id or provider in _VENDOR_IDS
    if ":" in kind:  # a plug-in's class
        kind = provider
    elif settings is not None and "server" in settings.options:
        kind = str(settings.options["server"])
    elif kind == "openai" and (has_listed_name or provider in _UNLISTED):
        kind = provider
    return _VENDOR_IDS.get(kind, kind)


def _prices_chats(model: types.ModelInfo) -> bool:
    """Whether the entry covers all that a chat costs: input and output, or nothing at all, which
    means free. Models that are paid by the second, by the page or for their input only do not
    chat."""
    all_prices = list_model_prices(model)
    return bool(all_prices) and all(
        not vars(prices) or (prices.input_mtok is not None and prices.output_mtok is not None)
        for prices in all_prices
    )
