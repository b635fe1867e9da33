"""`sigil status`: what was accepted and how it ended, which models rest, which processes live."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.backend import open_stores
from sigil.cli.cooldowns import print_cooldowns
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_line, print_table
from sigil.cli.process_table import print_processes
from sigil.lanes.effects import Outcome

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.fleet import ProcessRecord
    from sigil.providers.chain.health_store import Cooldown

OUTCOMES = tuple(outcome.value for outcome in Outcome)

app = make_app()


@app.command()
def status(
    ctx: typer.Context,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Recount from the records; exit with 1 if it does not add up."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show per day what was accepted and how it ended, and which processes live."""
    raise typer.Exit(run(ctx.obj.load_settings("routing"), verify=verify, as_json=as_json))


def run(settings: Settings, *, verify: bool, as_json: bool) -> int:
    """Prints the counts per day (UTC) and the processes. Returns 1 if a recount does not
    balance."""
    days, resting, processes, recount = asyncio.run(_read_counts(settings, verify=verify))
    if as_json:
        data = {
            "days": days,
            "resting": [asdict(cooldown) for cooldown in resting],
            "processes": [asdict(each) | {"live": each.is_live} for each in processes],
        }
        print_json(data | ({} if recount is None else {"verify": recount}))
    else:
        _print_days(days)
        if resting:
            print_line("")
            print_cooldowns(resting)
        print_line("")
        print_processes(processes)
        if recount is not None:
            _print_recount(recount)
    return 0 if recount is None or recount["balanced"] else 1


async def _read_counts(
    settings: Settings, *, verify: bool
) -> tuple[
    dict[str, dict[str, int]],
    Sequence[Cooldown],
    Sequence[ProcessRecord],
    Mapping[str, Any] | None,
]:
    async with open_stores(settings) as stores:
        counts = await stores.lanes.counts()
        resting = await stores.health.list_cooldowns()
        processes = await stores.fleet.list()
        recount = await stores.lanes.verify() if verify else None
    days = {day: add_open(counts[day]) for day in sorted(counts, reverse=True)}
    return days, resting, processes, recount


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


def _print_recount(recount: Mapping[str, Any]) -> None:
    if recount["balanced"]:
        print_line("Recounted: it balances.")
        return
    print_line("Recounted: it does NOT balance.")
    for problem in recount.get("problems", ()):
        print_line(f"  {problem}")
