"""`sigil budget`: what may be spent, what was spent, and when that resets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.backend import open_stores
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_table
from sigil.errors import SigilError, UserNotFound, WorkspaceNotFound
from sigil.identity.scope import PERSONAL

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.money.standings import Standing
    from sigil.stores.base import Stores

COLUMNS = ("scope", "name", "window", "limit", "spent", "reserved", "left", "resets")
_MAX_SUBJECTS = 10_000

app = make_app()


@app.command()
def budget(
    ctx: typer.Context,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Budget of this user.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", metavar="ID", help="Budget of this workspace.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="KEY", help="Budget of this session.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what may be spent, what was spent and what is left."""
    given = {"workspace": workspace, "user": user, "session": session}
    scopes = [(scope, subject) for scope, subject in given.items() if subject is not None]
    raise typer.Exit(run(ctx.obj.load_settings("routing"), scopes, as_json=as_json))


def run(settings: Settings, scopes: Sequence[tuple[str, str]], *, as_json: bool) -> int:
    """Prints the current hour and day (UTC) of each scope, a pair such as ("user", "alice").

    No scopes mean all together, and every workspace and user that is configured or has spent
    something today. Raises `UserNotFound` or `WorkspaceNotFound`.
    """
    standings = asyncio.run(_read_standings(settings, scopes))
    if as_json:
        print_json({"budgets": [_describe_standing(standing) for standing in standings]})
    else:
        print_table(COLUMNS, [_make_row(standing) for standing in standings])
    return 0


async def _read_standings(settings: Settings, scopes: Sequence[tuple[str, str]]) -> list[Standing]:
    from sigil.money.limits import find_limit, list_limits
    from sigil.money.standings import read_standings

    async with open_stores(settings) as stores:
        for scope, subject in scopes:
            await _check_subject(settings, stores, scope, subject)
        limits = [find_limit(settings, *scope) for scope in scopes]
        return await read_standings(
            stores.budgets, limits or await list_limits(stores.budgets, settings)
        )


async def _check_subject(settings: Settings, stores: Stores, scope: str, subject: str) -> None:
    """Raises an error for a name that nobody knows. Otherwise a mistyped name would look like
    one that has spent nothing."""
    if scope == "session" or subject in await stores.budgets.list_subjects(scope, _MAX_SUBJECTS):
        return
    if scope == "user" and subject not in settings.users:
        try:
            await stores.users.get(subject)
        except UserNotFound:
            raise _make_error(UserNotFound, "user", subject, settings.users) from None
    personal = subject.startswith(f"{PERSONAL}:")
    if scope == "workspace" and not personal and subject not in settings.workspaces:
        raise _make_error(WorkspaceNotFound, "workspace", subject, settings.workspaces)


def _make_error(
    kind: type[SigilError], what: str, name: str, configured: Iterable[str]
) -> SigilError:
    names = ", ".join(configured) or "none"
    return kind(f"there is no {what} {name!r}.", hint=f"Configured are: {names}.")


def _describe_standing(standing: Standing) -> dict[str, Any]:
    """A standing for programs, in US dollars and seconds; null means no limit."""
    return {
        "scope": standing.scope,
        "subject": standing.subject,
        "window": standing.window,
        "limit_usd": _to_dollars(standing.limit),
        "spent_usd": _to_dollars(standing.spent),
        "reserved_usd": _to_dollars(standing.reserved),
        "left_usd": _to_dollars(standing.left),
        "resets_in": standing.resets_in,
    }


def _make_row(standing: Standing) -> tuple[object, ...]:
    from sigil.money.amounts import format_reset

    return (
        standing.scope,
        standing.subject or "-",
        standing.window,
        *map(_format_amount, (standing.limit, standing.spent, standing.reserved, standing.left)),
        format_reset(standing.window, standing.resets_in),
    )


def _format_amount(micro: int | None) -> str:
    from sigil.money.amounts import format_usd

    return "-" if micro is None else format_usd(micro)


def _to_dollars(micro: int | None) -> float | None:
    from sigil.money.amounts import MICRO_PER_USD

    return None if micro is None else micro / MICRO_PER_USD
