"""`sigil status`: what was accepted and how it ended, which models rest and how many conversations
wait for one, which processes live, who listens for which channel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.backend import open_stores
from sigil.cli.channel_accounts import (
    COLUMNS,
    describe_record,
    list_heard_accounts,
    make_row,
    read_records,
)
from sigil.cli.cooldowns import print_cooldowns
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_line, print_table
from sigil.cli.process_table import print_processes
from sigil.errors import StoreError
from sigil.lanes.effects import Outcome

if TYPE_CHECKING:
    from sigil.channels.account_leases import AccountRecord
    from sigil.config import Settings
    from sigil.lanes.fleet import ProcessRecord
    from sigil.providers.chain.health_store import Cooldown
    from sigil.stores.base import Backend

OUTCOMES = tuple(outcome.value for outcome in Outcome)

app = make_app()


@app.command()
def status(
    ctx: typer.Context,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Compare with what waits in lanes; exit with 1 if it does not add up."
        ),
    ] = False,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Verify, walk all records, and name what is lost (minutes)."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show per day what was accepted and how it ended, and which processes live."""
    settings = ctx.obj.load_settings("routing")
    raise typer.Exit(run(settings, verify=verify or deep, deep=deep, as_json=as_json))


def run(settings: Settings, *, verify: bool, deep: bool, as_json: bool) -> int:
    """Prints the counts per day (UTC) and the processes. Returns 1 if it was verified and does
    not balance."""
    days, resting, waits, processes, accounts, verified, store = asyncio.run(
        _read_counts(settings, verify=verify, deep=deep)
    )
    if as_json:
        data = {
            "days": days,
            "resting": [asdict(cooldown) for cooldown in resting],
            "waiting": {
                "conversations": len(waits),
                "first_in": next(iter(waits), None),
            },
            "processes": [asdict(each) | {"live": each.is_live} for each in processes],
            "channels": [describe_record(each) for each in accounts],
            "store": store,
        }
        print_json(data | ({} if verified is None else {"verify": verified}))
    else:
        _print_days(days)
        if resting:
            print_line("")
            print_cooldowns(resting, settings.providers)
        if waits:
            are = "conversation waits" if len(waits) == 1 else "conversations wait"
            print_line(f"{len(waits)} {are} for a model; the first goes on in {ceil(waits[0])} s.")
        if store["problem"]:
            print_line(f"New messages are refused: {store['problem']}")
        print_line("")
        print_processes(processes)
        if accounts:
            print_line("")
            print_table(COLUMNS, [make_row(each) for each in accounts])
        if verified is not None:
            _print_problems(verified)
    return 0 if verified is None or verified["balanced"] else 1


async def _read_counts(
    settings: Settings, *, verify: bool, deep: bool
) -> tuple[
    dict[str, dict[str, int]],
    Sequence[Cooldown],
    Sequence[float],
    Sequence[ProcessRecord],
    Sequence[AccountRecord],
    Mapping[str, Any] | None,
    dict[str, Any],
]:
    async with open_stores(settings) as stores:
        counts = await stores.lanes.counts()
        resting = await stores.health.list_cooldowns()
        waits = await stores.lanes.list_waits()
        processes = await stores.fleet.list()
        accounts = await read_records(stores, list_heard_accounts(settings))
        verified = await stores.lanes.verify(deep=deep) if verify else None
        store = await _examine_store(stores.backend)
    days = {day: add_open(counts[day]) for day in sorted(counts, reverse=True)}
    return days, resting, waits, processes, accounts, verified, store


async def _examine_store(backend: Backend) -> dict[str, Any]:
    """How full Redis is, in bytes, and why it takes no new messages (None: it takes them)."""
    memory, problem = await backend.read_memory(), None
    try:
        await backend.check_room()
    except StoreError as error:
        problem = str(error)
    return {"memory": memory.used, "maxmemory": memory.limit, "problem": problem}


def add_open(counts: Mapping[str, int]) -> dict[str, int]:
    """The day's counts and, as `open`, how many of its messages still wait or run."""
    ended = sum(counts.get(name, 0) for name in OUTCOMES)
    return {**counts, "open": counts.get("accepted", 0) - ended}


def _print_days(days: Mapping[str, Mapping[str, int]]) -> None:
    if not days:
        print_line("Nothing was accepted yet.")
        return
    columns = ("accepted", *OUTCOMES, "open", "duplicate")
    rows = [[day, *(counts.get(name, 0) for name in columns)] for day, counts in days.items()]
    print_table(("day", *columns), rows)


def _print_problems(verified: Mapping[str, Any]) -> None:
    if verified["balanced"]:
        print_line("Verified: it balances.")
        return
    print_line("Verified: it does NOT balance.")
    for problem in verified["problems"]:
        print_line(f"  {problem}")
    if "lost" not in verified:
        print_line("  `sigil status --deep` names what is lost.")
