"""`sigil config`: checks, shows and creates configurations."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.frame import Json, SeenAs, make_app
from sigil.cli.output import print_json, print_line, print_pairs, print_warning
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from sigil.config import Settings

app = make_app(help="Check, show or create a configuration.", no_args_is_help=True)


@app.command("check")
def config_check(ctx: typer.Context, role: SeenAs = None, as_json: Json = False) -> None:
    """Check the configuration and report every problem."""
    raise typer.Exit(check(ctx.obj.config, role, as_json=as_json))


@app.command("show")
def config_show(ctx: typer.Context, as_json: Json = False) -> None:
    """Print the settings in force, with secrets masked."""
    raise typer.Exit(show(ctx.obj.load_settings(None), as_json=as_json))


@app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of sigil.yaml, for editors."""
    from sigil.config.json_schema import make_json_schema

    print_json(make_json_schema())


@app.command("init")
def config_init(
    path: Annotated[Path, typer.Argument(help="Path to write.")] = Path("sigil.yaml"),
    channels: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="TYPE",
            help="Add a channel: telegram, matrix, email, webhook or a plug-in. Repeatable.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented configuration to start from."""
    raise typer.Exit(init(path, channels or (), force=force))


def check(path: Path | None, role: str | None, *, as_json: bool) -> int:
    """Prints ok and a summary, or raises `ConfigError` with everything that is wrong. What is only
    doubtful goes to standard error."""
    from sigil import bootstrap
    from sigil.cli.model_list import find_unknown_models
    from sigil.config import find_source, load_settings

    try:
        settings = load_settings(path, role=role)
        bootstrap.check(settings, role)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"ok": False, "error": str(error)})
        return 1
    source = find_source(path)
    summary = {"file": source and str(source), **_summarize_settings(settings)}
    warnings = list(map(str, asyncio.run(find_unknown_models(settings))))
    if as_json:
        print_json({"ok": True, **summary, "warnings": warnings})
    else:
        print_line("ok")
        print_pairs({name: _format_value(value) for name, value in summary.items()})
        for warning in warnings:
            print_warning(f"warning: {warning}")
    return 0


def _summarize_settings(settings: Settings) -> dict[str, Any]:
    from sigil.config.masking import mask_settings

    redis = settings.redis.url
    return {
        "data": str(settings.data_dir),
        "redis": "embedded" if redis is None else mask_settings(settings)["redis"]["url"],
        "gateway": f"{settings.gateway.host}:{settings.gateway.port}",
        "channels": sorted(settings.channels),
        "providers": sorted(settings.providers),
        "model": settings.models.default,
        "users": sorted(settings.users),
        "workspaces": sorted(settings.workspaces),
    }


def _format_value(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none, all defaults" if value is None else value


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints the settings in force as YAML, or JSON. Secrets are masked."""
    from sigil.config.masking import mask_settings

    shown = mask_settings(settings)
    if as_json:
        print_json(shown)
    else:
        import yaml

        print_line(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())
    return 0


def init(path: Path, channels: Sequence[str], *, force: bool) -> int:
    """Writes the commented starting point, readable by its owner only, and says what comes next.

    Raises `ConfigError` if there is no starter for a channel, if the file exists and `force` is
    not given, or if it cannot be written.
    """
    from sigil.cli.starters import describe_next_steps, load_channel_starter, write_starter

    added = [load_channel_starter(kind) for kind in dict.fromkeys(channels)]
    text = write_starter(added)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} already exists.", hint="--force overwrites it.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print_line(f"Wrote {path}. `sigil config check` checks it, `sigil up` starts with it.")
    for step in describe_next_steps(added):
        print_line(step)
    return 0
