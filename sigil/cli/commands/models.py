"""`sigil models`: which models there are, what they can do, and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_table, print_warning
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from sigil.cli.model_list import Entry
    from sigil.config import Settings

COLUMNS = ("model", "tools", "vision", "thinking", "context", "output", "$/M in", "$/M out", "use")

app = make_app()


@app.command()
def models(
    ctx: typer.Context,
    provider: Annotated[
        str | None, typer.Argument(help="Provider (default: all configured).")
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the vendors instead of the built-in lists.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the models, what they can do and what they cost."""
    raise typer.Exit(run(ctx.obj.load_settings, provider, refresh=refresh, as_json=as_json))


def run(
    load_settings: Callable[[str], Settings],
    provider: str | None,
    *,
    refresh: bool,
    as_json: bool,
) -> int:
    """Prints the models of all configured providers, or of one.

    `load_settings` gives the configuration as a role sees it. Returns 1 if every vendor that was
    asked failed. Raises `ConfigError`.
    """
    from sigil.cli.model_list import list_models

    try:
        settings = load_settings("agent")
    except ConfigError:
        if refresh:
            raise
        # Looking at the built-in lists needs no key, and other roles are not given one.
        settings = load_settings("routing")
    found = asyncio.run(list_models(settings, provider, refresh=refresh))
    if as_json:
        entries = [_describe_entry(entry) for entry in found.entries]
        print_json({"models": entries, "failed": found.failures})
    else:
        print_table(COLUMNS, [_make_row(entry) for entry in found.entries])
        for name, cause in found.failures.items():
            text = cause.removeprefix(f"{name}: ")
            print_warning(f"{name}: {text} What is built in is shown.")
    return 1 if found.asked and found.asked <= found.failures.keys() else 0


def _describe_entry(entry: Entry) -> dict[str, Any]:
    provider, _, model = entry.name.partition("/")
    info, rates = entry.info, entry.rates
    return {
        "name": entry.name,
        "provider": provider,
        "model": model,
        "tools": info.tools,
        "vision": info.vision,
        "documents": info.documents,
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


def _make_row(entry: Entry) -> list[object]:
    info, rates = entry.info, entry.rates
    uses = ["default"] if entry.default else []
    if entry.failover is not None:
        uses.append(f"failover {entry.failover}")
    return [
        entry.name,
        *("yes" if can else "no" for can in (info.tools, info.vision, info.thinking)),
        info.max_context_tokens,
        info.max_output_tokens,
        _format_rate(None if rates is None else rates.input),
        _format_rate(None if rates is None else rates.output),
        ", ".join(uses),
    ]


def _format_rate(rate: Decimal | None) -> str:
    return "unknown" if rate is None else f"{rate.normalize():f}"
