"""`sigil providers`: the model vendors, their keys by fingerprint, and which models rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from sigil.cli import backend, output
from sigil.config import Settings
from sigil.config.models import ProviderSettings
from sigil.errors import ConfigError
from sigil.providers.chain.health_store import Cooldown
from sigil.providers.names import fingerprint


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints what is configured and what rests. Never a key, nor what an URL has of one."""
    configured = [_described(name, entry) for name, entry in sorted(settings.providers.items())]
    resting = asyncio.run(_resting(settings))
    if as_json:
        output.as_json({"providers": configured, "resting": [asdict(each) for each in resting]})
        return 0
    models = [cooldown.provider for cooldown in resting]
    rows = [
        (
            entry["name"],
            entry["type"],
            entry["host"] or "its own",
            _keys(entry["keys"]),
            models.count(entry["name"]),
        )
        for entry in configured
    ]
    output.table(("provider", "type", "host", "keys", "resting"), rows)
    if resting:
        output.line("")
        show_resting(resting)
    return 0


def show_resting(resting: Sequence[Cooldown]) -> None:
    """A table of what rests, the longest last."""
    rows = [
        (
            f"{each.provider}/{each.model}",
            each.key or "-",
            each.reason,
            _state(each),
            each.failures,
        )
        for each in sorted(resting, key=lambda each: each.seconds)
    ]
    output.table(("model", "key", "reason", "state", "failures"), rows)


def reset(settings: Settings, name: str, *, as_json: bool) -> int:
    """Forgets the cooldowns of all, of a provider or of `provider/model`, and says how many.

    Raises `ConfigError` for a provider that is neither configured nor remembered.
    """
    provider, _, model = name.partition("/")
    forgotten = asyncio.run(_reset(settings, provider or None, model or None))
    if not forgotten and provider and provider not in settings.providers:
        raise ConfigError(
            f"no provider named {provider!r} is configured "
            f"(there are: {', '.join(sorted(settings.providers))})."
        )
    if as_json:
        output.as_json({"forgotten": forgotten})
        return 0
    whose = f" of {name}" if name else ""
    if forgotten:
        cooldowns = "1 cooldown" if forgotten == 1 else f"{forgotten} cooldowns"
        output.line(f"Forgot {cooldowns}{whose}.")
    else:
        output.line(f"No model{whose} was resting." if not model else f"{name} was not resting.")
    return 0


async def _resting(settings: Settings) -> list[Cooldown]:
    async with backend.stores(settings) as stores:
        return await stores.health.list_cooldowns()


async def _reset(settings: Settings, provider: str | None, model: str | None) -> int:
    async with backend.stores(settings) as stores:
        return await stores.health.reset(provider, model)


def _described(name: str, settings: ProviderSettings) -> dict[str, Any]:
    secrets = [settings.api_key] if settings.api_key is not None else []
    prints = [fingerprint(name, key.get_secret_value()) for key in (*secrets, *settings.api_keys)]
    return {
        "name": name,
        "type": settings.type or name,
        "host": _host(settings.base_url),
        "keys": [each for each in dict.fromkeys(prints) if each],
    }


def _host(base_url: str | None) -> str | None:
    """Host and port of an URL, without what may be secret: user, password, path, query."""
    if base_url is None:
        return None
    return urlsplit(base_url).netloc.rpartition("@")[2]


def _keys(prints: Sequence[str]) -> str:
    return f"{len(prints)}: {', '.join(prints)}" if prints else "none"


def _state(cooldown: Cooldown) -> str:
    if cooldown.probing:
        return "being probed"
    if cooldown.seconds == 0:
        return "waits for a probe"
    return f"{_span(cooldown.seconds)} left"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
