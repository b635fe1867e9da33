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
    from sigil.channels.base import Check
    from sigil.config import Settings

app = make_app(help="Show the channels, and find out whether one works.", no_args_is_help=True)

CHECKED_WITHIN_S = 60.0


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
    checks = asyncio.run(_check(settings, name))
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


async def _check(settings: Settings, name: str) -> Sequence[Check]:
    from sigil.channels.base import Check, ChecksAccount
    from sigil.channels.router import load_channel
    from sigil.errors import SigilError
    from sigil.stores import connect

    stores = connect(_find_store_url(settings), prefix=settings.redis.prefix)
    public_url = settings.gateway.public_url
    channel = load_channel(name, settings.channels[name], stores, public_url)
    try:
        listener = channel.listener
        if listener is None:
            return [Check("it is built in: there is no account to ask for", ok=True)]
        if not isinstance(listener, ChecksAccount):
            return [Check("its configuration can be used; it has no test of its own", ok=True)]
        async with asyncio.timeout(CHECKED_WITHIN_S):
            return await listener.check()
    except TimeoutError:
        text = f"the platform did not answer within {CHECKED_WITHIN_S:g} s"
        return [Check(text, ok=False, hint="Try again later.")]
    except SigilError as error:
        return [Check(error.message, ok=False, hint=error.hint or "")]
    except Exception as error:  # noqa: BLE001  # whatever a plug-in raises
        # The text of a library's error may hold a token.
        return [Check(f"the test itself failed ({type(error).__name__})", ok=False)]
    finally:
        await channel.close()
        await stores.backend.close()


def _find_store_url(settings: Settings) -> str:
    from sigil.errors import ConfigError
    from sigil.host.valkey_address import find_store_url

    try:
        return find_store_url(settings)
    except ConfigError:
        # No Sigil runs on this machine. Whether an account works has nothing to do with that, and
        # no connection is opened.
        return "redis://127.0.0.1"
