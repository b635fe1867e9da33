"""What `sigil doctor` says of the model vendors: their keys, their models, and what rests."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from sigil import bootstrap
from sigil.cli import vendor_probes
from sigil.cli.finding import Finding
from sigil.cli.model_list import find_unknown_models
from sigil.config.problems import suggest
from sigil.errors import AllProvidersUnavailable, ConfigError, ErrorKind, ProviderError, SigilError
from sigil.errors.failures import MENDED_BY_OWNER
from sigil.money.amounts import format_usd
from sigil.money.limits import list_models
from sigil.providers.chain.trouble import explain_trouble

if TYPE_CHECKING:
    from sigil.cli.vendor_probes import VendorAnswer
    from sigil.config import Settings

VENDORS = frozenset({"anthropic", "google", "openai"})


def check_providers(settings: Settings, *, live: bool) -> Iterator[Finding]:
    """The findings. Every vendor is asked for its list of models, which is free; with `live` the
    first model is called too, which costs a fraction of a cent."""
    keyless = list(_find_missing_keys(settings))
    yield from keyless
    try:
        bootstrap.check_models(settings)
    except ConfigError as error:
        if not keyless:  # otherwise the reason is the missing key
            advice = error.hint or "Correct providers or models."
            yield Finding("providers", "fail", error.message, advice)
        yield from _find_unknown(settings)
        return
    model = settings.models.default
    if model.startswith("echo/"):
        advice = "Set providers.openai.api_key and models.default; see `sigil config init`."
        yield Finding("providers", "warn", "echo answers; no model is chosen", advice)
    else:
        yield Finding("providers", "ok", f"{model} is asked first")
    answers = asyncio.run(vendor_probes.ask_vendors(settings))
    for answer in answers:
        yield from _judge_answer(settings, answer)
    yield from _find_unknown(settings, {each.provider for each in answers if not each.error})
    told = {
        (each.provider, each.error.kind)
        for each in answers
        if isinstance(each.error, ProviderError)
    }
    yield from _check_health(settings, told)
    if live:
        yield _call_model(settings)


def _find_missing_keys(settings: Settings) -> Iterator[Finding]:
    for name, provider in settings.providers.items():
        if (provider.type or name) not in VENDORS:
            continue
        given = provider.api_key or provider.api_keys or provider.base_url
        if not given and "server" not in provider.options:
            advice = f"Set providers.{name}.api_key, e.g. to ${{{name.upper()}_API_KEY}}."
            yield Finding("providers", "fail", f"{name} has no api_key", advice)


def _judge_answer(settings: Settings, answer: VendorAnswer) -> Iterator[Finding]:
    """Whether the key is accepted, and whether the vendor lists the models that are configured."""
    if answer.error is not None:
        yield _describe_failure(settings, answer.provider, answer.error, answer.whose)
        return
    detail = f"{answer.whose} answers and lists {len(answer.models)} models"
    yield Finding("providers", "ok", detail)
    yield from _find_unlisted(settings, answer.provider, answer.models)


def _describe_failure(settings: Settings, provider: str, error: SigilError, whose: str) -> Finding:
    if isinstance(error, ProviderError) and error.kind in MENDED_BY_OWNER:
        return _describe_trouble(settings, provider, error.kind, error.status)
    text = error.message.removeprefix(f"{provider}: ")
    advice = error.hint or f"Does the server run, and is providers.{provider}.base_url right?"
    return Finding("providers", "fail", f"{whose}: {text}", advice)


def _describe_trouble(
    settings: Settings, provider: str, kind: ErrorKind, status: int | None = None
) -> Finding:
    sentence = explain_trouble(provider, kind, settings.providers, status=status)
    found, _, advice = sentence.partition(". ")
    return Finding("providers", "fail", found, advice)


def _find_unlisted(settings: Settings, provider: str, listed: Collection[str]) -> Iterator[Finding]:
    for place, name in list_models(settings):
        asked, _, model = name.partition("/")
        if asked == provider and model not in listed:
            detail = f"{provider} does not list {model}{suggest(model, listed)}"
            yield Finding(
                "providers", "warn", detail, f"Correct {place}, unless it is a private model."
            )


def _find_unknown(settings: Settings, heard: Collection[str] = ()) -> Iterator[Finding]:
    """Models that no built-in list holds, of vendors that have not been `heard` themselves."""
    for problem in asyncio.run(find_unknown_models(settings, heard)):
        advice = "Is it a typo? A model that is newer than Sigil is no mistake."
        yield Finding("providers", "warn", str(problem), advice)


def _check_health(settings: Settings, told: Collection[tuple[str, ErrorKind]]) -> Iterator[Finding]:
    """What the calls of all workers have found, except what the vendors have just `told`. Without
    Redis there is nothing to say: another check says that it is away."""
    try:
        resting = asyncio.run(vendor_probes.read_cooldowns(settings))
    except SigilError:
        return
    known = set(told)
    for cooldown in resting:
        if cooldown.reason in MENDED_BY_OWNER:
            kind = ErrorKind(cooldown.reason)
            if (cooldown.provider, kind) not in known:
                yield _describe_trouble(settings, cooldown.provider, kind)
            known.add((cooldown.provider, kind))
        else:
            name = f"{cooldown.provider}/{cooldown.model}"
            advice = f"`sigil providers reset {name}` lets it be called at once."
            yield Finding("providers", "warn", f"{name} is {cooldown}", advice)


def _call_model(settings: Settings) -> Finding:
    """The finding of one real call of the first model."""
    model = settings.models.default
    try:
        call = asyncio.run(vendor_probes.call_model(settings, model))
    except AllProvidersUnavailable as error:
        if model not in error.kinds:
            return _describe_failure(settings, model.partition("/")[0], error, model)
        advice = f"`sigil providers reset {model}` lets it be called at once."
        detail = f"{model} was not called: {error.causes[model]}"
        return Finding("live call", "fail", detail, advice)
    except SigilError as error:
        return _describe_failure(settings, model.partition("/")[0], error, model)
    cost = "unknown cost" if call.cost is None else format_usd(call.cost)
    return Finding("live call", "ok", f"{model} answered in {call.seconds:.1f} s, {cost}")
