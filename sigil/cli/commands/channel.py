"""`sigil channel`: the configured channels, who listens for each, and whether it works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.backend import open_stores
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_table

if TYPE_CHECKING:
    from sigil.channels.account_leases import AccountRecord
    from sigil.config import Settings

app = make_app(help="Show the channels, and find out whether one works.", no_args_is_help=True)


@app.command("list")
def channel_list(ctx: typer.Context, as_json: Json = False) -> None:
    """Show each channel: who listens for it, since when, and what is wrong."""
    raise typer.Exit(show(ctx.obj.load_settings("routing"), as_json=as_json))


@app.command("test")
def channel_test(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the channel.")],
    as_json: Json = False,
) -> None:
    """Ask a channel's platform whether its account works, and say what to do if not."""
    settings = ctx.obj.load_settings("gateway")
    if name not in settings.channels:
        from sigil.cli.local_gateway import describe_unknown

        raise typer.BadParameter(" ".join(describe_unknown("channel", name, settings.channels)))
    raise typer.Exit(test(settings, name, as_json=as_json))


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints all channels. Those without a listener, such as the page, work by themselves."""
    from sigil.cli.channel_accounts import COLUMNS, describe_record, list_heard_accounts, make_row

    heard = list_heard_accounts(settings)
    records = {each.id: each for each in asyncio.run(_read_records(settings, heard))}
    if as_json:
        print_json(
            [
                {"id": name, "type": entry.type or name, "listens": name in records}
                | (describe_record(records[name]) if name in records else {})
                for name, entry in settings.channels.items()
            ]
        )
        return 0
    quiet = ("-",) * (len(COLUMNS) - 2)
    rows = [
        make_row(records[name]) if name in records else (name, "built in", *quiet)
        for name in settings.channels
    ]
    print_table(COLUMNS, rows)
    return 0


async def _read_records(settings: Settings, names: Sequence[str]) -> Sequence[AccountRecord]:
    from sigil.cli.channel_accounts import read_records

    async with open_stores(settings) as stores:
        return await read_records(stores, names)


def test(settings: Settings, name: str, *, as_json: bool) -> int:
    """Prints one line for each check. Returns 1 if one failed. Raises `ConfigError`."""
    from sigil.cli.account_checks import ask_platform

    checks = asyncio.run(ask_platform(settings, name))
    is_fine = all(check.ok for check in checks)
    if as_json:
        found: list[dict[str, Any]] = [
            {"what": check.what, "ok": check.ok, "hint": check.hint or None} for check in checks
        ]
        print_json({"id": name, "ok": is_fine, "checks": found})
    else:
        rows = [("ok" if check.ok else "fail", check.what, check.hint) for check in checks]
        print_table(("state", "found", "what to do"), rows)
    return 0 if is_fine else 1
