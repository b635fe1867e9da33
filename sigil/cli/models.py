"""`sigil models`: which models there are, what they can do, and what they cost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from sigil.cli import output
from sigil.config import Settings
from sigil.config.models import ProviderSettings
from sigil.errors import ConfigError, ProviderError, SigilError
from sigil.money.pricing import PriceBook, Rates
from sigil.providers.base import Catalogued, ModelInfo
from sigil.providers.loading import PROVIDERS, load
from sigil.providers.names import split_name
from sigil.providers.registry import ProviderRegistry

# Seconds for one vendor to say which models it has.
_TIMEOUT = 20.0
_COLUMNS = ("model", "tools", "vision", "thinking", "context", "output", "$/M in", "$/M out", "use")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    info: ModelInfo
    rates: Rates | None
    default: bool
    failover: int | None


def run(
    settings_of: Callable[[str], Settings], wanted: str | None, *, refresh: bool, as_json: bool
) -> int:
    """Prints the models of all configured providers, or of one. 1 if every vendor that was asked
    failed. `settings_of` gives the configuration as a role sees it. Raises `ConfigError`."""
    settings = settings_of("agent") if refresh else _without_keys(settings_of)
    chosen = _chosen(settings, wanted)
    registry, unusable = _registry(chosen)
    asked = _catalogued(registry) if refresh else {}
    failures, entries = asyncio.run(_read(settings, registry, asked, unusable))
    if as_json:
        output.as_json({"models": [_described(entry) for entry in entries], "failed": failures})
    else:
        output.table(_COLUMNS, [_row(entry) for entry in entries])
        for name, cause in failures.items():
            said = cause.removeprefix(f"{name}: ")
            sys.stderr.write(f"{name}: {said} What is built in is shown.\n")
    return 1 if asked and asked.keys() <= failures.keys() else 0


def _without_keys(settings_of: Callable[[str], Settings]) -> Settings:
    """Whoever only wants to look needs no keys: another role is not told them."""
    try:
        return settings_of("agent")
    except ConfigError:
        return settings_of("routing")


def _chosen(settings: Settings, wanted: str | None) -> dict[str, ProviderSettings]:
    """The providers to show; one that is built in can be looked at before it is configured."""
    if wanted is None:
        return settings.providers
    if wanted in settings.providers:
        return {wanted: settings.providers[wanted]}
    if wanted in PROVIDERS:
        return {wanted: ProviderSettings()}
    known = ", ".join(sorted({*settings.providers, *PROVIDERS}))
    raise ConfigError(f"there is no provider {wanted!r}.", hint=f"There are: {known}.")


def _registry(chosen: Mapping[str, ProviderSettings]) -> tuple[ProviderRegistry, dict[str, str]]:
    """The providers, and why some of them cannot be called: they tell their models all the
    same."""
    registry, unusable = ProviderRegistry(), {}
    for name, settings in chosen.items():
        try:
            instances = load(name, settings)
        except ConfigError as error:
            unusable[name] = str(error)
            instances = load(name, settings.model_copy(update={"api_key": SecretStr("none")}))
        registry.register(name, instances, models=settings.models)
    return registry, unusable


def _catalogued(registry: ProviderRegistry) -> dict[str, Catalogued]:
    providers = {name: registry.get(name) for name in registry.names()}
    return {name: each for name, each in providers.items() if isinstance(each, Catalogued)}


async def _read(
    settings: Settings,
    registry: ProviderRegistry,
    asked: Mapping[str, Catalogued],
    unusable: Mapping[str, str],
) -> tuple[dict[str, str], list[_Entry]]:
    try:
        failures = await _refreshed(asked, unusable)
    finally:
        await registry.aclose()
    book = PriceBook(settings.providers)
    entries = [
        _entry(f"{name}/{info.id}", info, book, settings)
        for name in registry.names()
        for info in await _models(name, registry, settings, failures)
    ]
    return failures, entries


async def _refreshed(
    asked: Mapping[str, Catalogued], unusable: Mapping[str, str]
) -> dict[str, str]:
    """Asks all vendors at once; what went wrong, by the provider's name."""
    able = {name: each for name, each in asked.items() if name not in unusable}
    results = await asyncio.gather(*map(_ask, able.values()), return_exceptions=True)
    failed = {
        name: _cause(result)
        for name, result in zip(able, results, strict=True)
        if isinstance(result, BaseException)
    }
    return {name: unusable[name] for name in asked if name in unusable} | failed


async def _ask(provider: Catalogued) -> None:
    async with asyncio.timeout(_TIMEOUT):
        await provider.refresh_models()


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT:g} s."
    # The text of a foreign error may quote a key.
    return str(error) if isinstance(error, SigilError) else f"{type(error).__name__}."


async def _models(
    name: str, registry: ProviderRegistry, settings: Settings, failures: dict[str, str]
) -> list[ModelInfo]:
    """What the provider lists, and what the configuration names beyond that."""
    found: dict[str, ModelInfo] = {}
    try:
        found = {info.id: info for info in await registry.list_models(name)}
    except ProviderError as error:
        failures.setdefault(name, str(error))
    for model in _configured(name, settings):
        if model not in found:
            found[model] = await registry.info(f"{name}/{model}")
    return list(found.values())


def _configured(name: str, settings: Settings) -> Iterator[str]:
    models, workspaces = settings.models, settings.workspaces.values()
    for full_name in (models.default, *models.failover, *(each.model for each in workspaces)):
        if full_name is not None and full_name.startswith(f"{name}/"):
            yield split_name(full_name)[1]
    if name in settings.providers:
        yield from (model for model in settings.providers[name].models if model != "*")


def _entry(name: str, info: ModelInfo, book: PriceBook, settings: Settings) -> _Entry:
    price, failover = book.price(name), settings.models.failover
    return _Entry(
        name,
        info,
        rates=None if price is None else price.rates(),
        default=name == settings.models.default,
        failover=failover.index(name) + 1 if name in failover else None,
    )


def _described(entry: _Entry) -> dict[str, Any]:
    provider, model = split_name(entry.name)
    info, rates = entry.info, entry.rates
    return {
        "name": entry.name,
        "provider": provider,
        "model": model,
        "tools": info.tools,
        "vision": info.vision,
        "streaming": info.streaming,
        "thinking": info.thinking,
        "max_context_tokens": info.max_context_tokens,
        "max_output_tokens": info.max_output_tokens,
        "usd_per_million_tokens": rates
        and {
            "input": float(rates.input),
            "output": float(rates.output),
            "cached_input": float(rates.cached_input),
            "cache_write": float(rates.cache_write),
        },
        "default": entry.default,
        "failover": entry.failover,
    }


def _row(entry: _Entry) -> list[object]:
    info, rates = entry.info, entry.rates
    uses = ["default"] if entry.default else []
    if entry.failover is not None:
        uses.append(f"failover {entry.failover}")
    return [
        entry.name,
        *("yes" if can else "no" for can in (info.tools, info.vision, info.thinking)),
        info.max_context_tokens,
        info.max_output_tokens,
        _dollars(None if rates is None else rates.input),
        _dollars(None if rates is None else rates.output),
        ", ".join(uses),
    ]


def _dollars(rate: Decimal | None) -> str:
    return "unknown" if rate is None else f"{rate.normalize():f}"
