"""Lists the models of providers with their prices and uses, for `sigil models`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass

from sigil.config import Settings
from sigil.config.checks import list_model_names
from sigil.config.problems import Problem, suggest
from sigil.config.schema import ProviderSettings
from sigil.errors import ConfigError, ProviderError, SigilError
from sigil.money.price import Rates
from sigil.money.price_book import PriceBook
from sigil.providers.base import Catalogued, ModelInfo
from sigil.providers.loading import PROVIDERS, find_builtin_model, load, load_catalogue
from sigil.providers.names import split_name
from sigil.providers.registry import ProviderRegistry

REFRESH_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A model: its full name, what it can do, its price, and its use in the configuration.

    `failover` is its position in models.failover, counted from 1.
    """

    name: str
    info: ModelInfo
    rates: Rates | None
    default: bool
    failover: int | None


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models found. `asked` are the providers whose vendor was asked, `failures` says what
    went wrong with some of them; both by the provider's name."""

    entries: list[Entry]
    asked: Set[str]
    failures: dict[str, str]


async def list_models(settings: Settings, provider: str | None, *, refresh: bool) -> ModelList:
    """Lists the models of one provider, or of all configured ones.

    `refresh` asks the vendors for their models first. A vendor that cannot be asked is noted in
    `failures`, and its built-in list is used. Raises `ConfigError` for an unknown provider.
    """
    registry, unusable = _make_registry(_choose_providers(settings, provider))
    asked: dict[str, Catalogued] = {}
    if refresh:
        for name in registry.names():
            if isinstance(each := registry.get(name), Catalogued):
                asked[name] = each
    try:
        failures = await _refresh_models(asked, unusable)
    finally:
        await registry.aclose()
    book = PriceBook(settings.providers)
    entries = [
        _make_entry(f"{name}/{info.id}", info, book, settings)
        for name in registry.names()
        for info in await _list_provider(name, registry, settings, failures)
    ]
    return ModelList(entries, asked.keys(), failures)


async def find_unknown_models(
    settings: Settings, but: Collection[str] = frozenset()
) -> list[Problem]:
    """The configured models that the built-in list of their vendor does not hold: mistyped, or
    newer than the list. Calls nobody, and leaves out some providers. Elsewhere than at the vendor
    any model may exist."""
    problems = []
    for path, name in list_model_names(settings):
        provider, model = split_name(name)
        configured = settings.providers[provider]
        if provider in but or configured.base_url or model in configured.models:
            continue
        if find_builtin_model(provider, model, configured) is not None:
            continue
        listed = await _list_builtin(provider, configured)
        if listed:
            text = f"'{model}' is no model of {provider} that I know{suggest(model, listed)}"
            problems.append(Problem(path, text))
    return problems


async def _list_builtin(name: str, settings: ProviderSettings) -> list[str]:
    """The built-in models of a vendor; none of a server of one's own or a plug-in."""
    if (settings.type or name) not in PROVIDERS:
        return []
    try:
        provider = load_catalogue(name, settings)
    except ConfigError:  # which is reported by itself
        return []
    models = await provider.list_models() if isinstance(provider, Catalogued) else []
    return [info.id for info in models]


def _choose_providers(settings: Settings, wanted: str | None) -> dict[str, ProviderSettings]:
    """The providers to show. A built-in one can be looked at before it is configured."""
    if wanted is None:
        return settings.providers
    if wanted in settings.providers:
        return {wanted: settings.providers[wanted]}
    if wanted in PROVIDERS:
        return {wanted: ProviderSettings()}
    known = ", ".join(sorted({*settings.providers, *PROVIDERS}))
    raise ConfigError(f"there is no provider {wanted!r}.", hint=f"There are: {known}.")


def _make_registry(
    chosen: Mapping[str, ProviderSettings],
) -> tuple[ProviderRegistry, dict[str, str]]:
    """The providers, and by name why some of them cannot be called.

    A provider without a key still knows its built-in models.
    """
    registry, unusable = ProviderRegistry(), {}
    for name, settings in chosen.items():
        try:
            registry.register(name, load(name, settings), models=settings.models)
        except ConfigError as error:
            unusable[name] = str(error)
            registry.register(name, load_catalogue(name, settings), models=settings.models)
    return registry, unusable


async def _refresh_models(
    asked: Mapping[str, Catalogued], unusable: Mapping[str, str]
) -> dict[str, str]:
    """Asks all vendors at once. Returns what went wrong, by the provider's name."""

    async def ask(provider: Catalogued) -> None:
        async with asyncio.timeout(REFRESH_WITHIN_S):
            await provider.refresh_models()

    able = {name: each for name, each in asked.items() if name not in unusable}
    results = await asyncio.gather(*map(ask, able.values()), return_exceptions=True)
    failures = {name: unusable[name] for name in asked if name in unusable}
    for name, result in zip(able, results, strict=True):
        if isinstance(result, TimeoutError):
            failures[name] = f"no answer within {REFRESH_WITHIN_S:g} s."
        elif isinstance(result, SigilError):
            failures[name] = str(result)
        elif isinstance(result, BaseException):
            # Its text may quote a key.
            failures[name] = f"{type(result).__name__}."
    return failures


async def _list_provider(
    name: str, registry: ProviderRegistry, settings: Settings, failures: dict[str, str]
) -> list[ModelInfo]:
    """The models that the provider lists, and those that only the configuration names."""
    found: dict[str, ModelInfo] = {}
    try:
        found = {info.id: info for info in await registry.list_models(name)}
    except ProviderError as error:
        failures.setdefault(name, str(error))
    for model in _find_configured_models(name, settings):
        if model not in found:
            found[model] = await registry.info(f"{name}/{model}")
    return list(found.values())


def _find_configured_models(name: str, settings: Settings) -> Iterator[str]:
    models, workspaces = settings.models, settings.workspaces.values()
    used = (models.default, *models.failover, *models.allowed)
    for full_name in (*used, *(each.model for each in workspaces)):
        if full_name is not None and full_name.startswith(f"{name}/"):
            yield split_name(full_name)[1]
    if name in settings.providers:
        yield from (model for model in settings.providers[name].models if model != "*")


def _make_entry(name: str, info: ModelInfo, book: PriceBook, settings: Settings) -> Entry:
    price, failover = book.find_price(name), settings.models.failover
    return Entry(
        name,
        info,
        rates=None if price is None else price.find_rates(),
        default=name == settings.models.default,
        failover=failover.index(name) + 1 if name in failover else None,
    )
