"""`sigil providers`: the model vendors, their keys by fingerprint, and which models rest."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from sigil.cli.backend import open_stores
from sigil.cli.cooldowns import drop_replaced, list_fingerprints, print_cooldowns
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_line, print_table
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.config.schema import ProviderSettings
    from sigil.providers.chain.health_store import Cooldown

app = make_app(help="Show the model vendors, and which models rest.")


@app.callback(invoke_without_command=True)
def providers(ctx: typer.Context, as_json: Json = False) -> None:
    """Shows the vendors unless a subcommand is called."""
    if ctx.invoked_subcommand is None:
        raise typer.Exit(show(ctx.obj.load_settings("agent"), as_json=as_json))


@app.command("reset")
def providers_reset(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="[PROVIDER[/MODEL]]", help="Provider or model (default: all)."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Forget cooldowns, so that resting models are called again at once."""
    raise typer.Exit(reset(ctx.obj.load_settings("routing"), name, as_json=as_json))


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints the configured vendors and the models that rest. Shows no key and no login."""
    vendors = [_describe_vendor(name, entry) for name, entry in sorted(settings.providers.items())]
    resting = asyncio.run(_read_cooldowns(settings))
    if as_json:
        print_json({"providers": vendors, "resting": [asdict(each) for each in resting]})
        return 0
    models = [cooldown.provider for cooldown in resting]
    rows = [
        (
            vendor["name"],
            vendor["type"],
            vendor["host"] or "its own",
            f"{len(vendor['keys'])}: {', '.join(vendor['keys'])}" if vendor["keys"] else "none",
            models.count(vendor["name"]),
        )
        for vendor in vendors
    ]
    print_table(("provider", "type", "host", "keys", "resting"), rows)
    if resting:
        print_line("")
        print_cooldowns(resting, settings.providers)
    return 0


def reset(settings: Settings, name: str, *, as_json: bool) -> int:
    """Forgets the cooldowns of all, of a provider or of `provider/model`, and prints how many.

    Raises `ConfigError` for a provider that is neither configured nor has cooldowns.
    """
    provider, _, model = name.partition("/")
    forgotten = asyncio.run(_forget_cooldowns(settings, provider or None, model or None))
    if not forgotten and provider and provider not in settings.providers:
        raise ConfigError(
            f"no provider named {provider!r} is configured "
            f"(there are: {', '.join(sorted(settings.providers))})."
        )
    if as_json:
        print_json({"forgotten": forgotten})
        return 0
    whose = f" of {name}" if name else ""
    if forgotten:
        cooldowns = "1 cooldown" if forgotten == 1 else f"{forgotten} cooldowns"
        print_line(f"Forgot {cooldowns}{whose}.")
    else:
        print_line(f"No model{whose} was resting." if not model else f"{name} was not resting.")
    return 0


async def _read_cooldowns(settings: Settings) -> list[Cooldown]:
    async with open_stores(settings) as stores:
        return drop_replaced(await stores.health.list_cooldowns(), settings.providers)


async def _forget_cooldowns(settings: Settings, provider: str | None, model: str | None) -> int:
    async with open_stores(settings) as stores:
        return await stores.health.reset(provider, model)


def _describe_vendor(name: str, settings: ProviderSettings) -> dict[str, Any]:
    """A vendor as JSON has it. `host` is the base URL's host and port alone: a user name, a
    password, the path or the query may be secret."""
    url = settings.base_url
    return {
        "name": name,
        "type": settings.type or name,
        "host": None if url is None else urlsplit(url).netloc.rpartition("@")[2],
        "keys": list_fingerprints(name, settings),
    }
