"""`sigil budget`: what may be spent, what was, and when that resets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sigil.cli import backend, output
from sigil.config import Settings
from sigil.config.schema import PERSONAL
from sigil.errors import SigilError, UserNotFound, WorkspaceNotFound
from sigil.money.amounts import MICRO_PER_USD, format_reset, format_usd
from sigil.money.limits import find_limit, list_limits
from sigil.money.standings import Standing, read_standings
from sigil.money.store import Limit
from sigil.stores.base import Stores


def run(
    settings: Settings,
    *,
    user: str | None,
    workspace: str | None,
    session: str | None,
    as_json: bool,
) -> int:
    """Prints the running hour and day (UTC) of what was asked for, or of all together and every
    workspace and user that is configured or has spent something today. Raises `UserNotFound` or
    `WorkspaceNotFound`."""
    asked = [
        (scope, subject)
        for scope, subject in (("workspace", workspace), ("user", user), ("session", session))
        if subject is not None
    ]
    standings = asyncio.run(_read(settings, asked))
    if as_json:
        output.as_json({"budgets": [described(standing) for standing in standings]})
    else:
        columns = ("scope", "name", "window", "limit", "spent", "reserved", "left", "resets")
        output.table(columns, [_row(standing) for standing in standings])
    return 0


def described(standing: Standing) -> dict[str, Any]:
    """A standing for programs, in US dollars and seconds; no limit is null."""
    return {
        "scope": standing.scope,
        "subject": standing.subject,
        "window": standing.window,
        "limit_usd": _dollars(standing.limit),
        "spent_usd": _dollars(standing.spent),
        "reserved_usd": _dollars(standing.reserved),
        "left_usd": _dollars(standing.left),
        "resets_in": standing.resets_in,
    }


async def _read(settings: Settings, asked: Sequence[tuple[str, str]]) -> list[Standing]:
    async with backend.stores(settings) as stores:
        for scope, subject in asked:
            await _known(settings, stores, scope, subject)
        limits: list[Limit] = [find_limit(settings, *scope) for scope in asked]
        if not limits:
            limits = await list_limits(stores.budgets, settings)
        return await read_standings(stores.budgets, limits)


async def _known(settings: Settings, stores: Stores, scope: str, subject: str) -> None:
    """A name that was mistyped has spent nothing, which would be a misleading answer."""
    if scope == "session" or subject in await stores.budgets.list_subjects(scope, 10_000):
        return
    if scope == "user" and subject not in settings.users:
        try:
            await stores.users.get(subject)
        except UserNotFound:
            raise _unknown(UserNotFound, "user", subject, settings.users) from None
    personal = subject.startswith(f"{PERSONAL}:")
    if scope == "workspace" and not personal and subject not in settings.workspaces:
        raise _unknown(WorkspaceNotFound, "workspace", subject, settings.workspaces)


def _unknown(kind: type[SigilError], what: str, name: str, known: Any) -> SigilError:
    there_are = ", ".join(known) or "none"
    return kind(f"there is no {what} {name!r}.", hint=f"Configured are: {there_are}.")


def _row(standing: Standing) -> tuple[object, ...]:
    return (
        standing.scope,
        standing.subject or "-",
        standing.window,
        _shown(standing.limit),
        _shown(standing.spent),
        _shown(standing.reserved),
        _shown(standing.left),
        format_reset(standing.window, standing.resets_in),
    )


def _shown(micro: int | None) -> str:
    return "-" if micro is None else format_usd(micro)


def _dollars(micro: int | None) -> float | None:
    return None if micro is None else micro / MICRO_PER_USD
