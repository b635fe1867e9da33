"""`sigil turns`: which models the last turns called, how that went, what it cost, and which turns
were refused or failed without a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigil.cli.backend import open_stores
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_line, print_table
from sigil.lanes.effects import Outcome

if TYPE_CHECKING:
    from sigil.config import Settings

COLUMNS = ("at", "user", "workspace", "model", "result", "seconds", "in", "out", "cost", "why")
ANSWERED, STOPPED = "answered", "stopped"
# The log also holds refusals and dead letters. This many entries are read to find turns.
_ENTRIES = 1_000

app = make_app()


@app.command()
def turns(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("-n", min=1, max=1000, help="Number of turns.")] = 20,
    failed: Annotated[
        bool, typer.Option("--failed", help="Show only turns that failed, or a call of which did.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the last turns: their model calls, how they went, and their cost."""
    settings = ctx.obj.load_settings("routing")
    raise typer.Exit(run(settings, limit=limit, failed=failed, as_json=as_json))


def run(settings: Settings, *, limit: int, failed: bool, as_json: bool) -> int:
    """Prints the newest `limit` turns, newest last: one line for each model call, and one for a
    turn that was refused or failed without a call.

    `failed` leaves out the turns that did not fail and of which no call did. Costs in JSON are
    micro-dollars, null if the price is unknown.
    """
    turns = asyncio.run(_read_turns(settings))
    if failed:
        turns = [turn for turn in turns if _has_failed(turn)]
    turns = turns[-limit:]
    if as_json:
        print_json({"turns": turns})
    elif not turns:
        print_line("There was no turn yet." if not failed else "No turn and no call has failed.")
    else:
        print_table(COLUMNS, [row for turn in turns for row in _make_rows(turn)])
    return 0


async def _read_turns(settings: Settings) -> list[dict[str, Any]]:
    async with open_stores(settings) as stores:
        entries = [json.loads(entry) for entry in await stores.audit.recent(_ENTRIES)]
    return [entry for entry in entries if "attempts" in entry]


def _has_failed(turn: Mapping[str, Any]) -> bool:
    errors = [attempt["error"] for attempt in turn["attempts"]]
    return turn["what"] == Outcome.FAILED or any(error is not None for error in errors)


def _make_rows(turn: Mapping[str, Any]) -> Iterator[list[object]]:
    from sigil.money.amounts import format_usd

    if not turn["attempts"]:
        known = turn["at"][:19], turn["user"], turn["workspace"]
        why = turn.get("detail") or turn.get("why", "")
        yield [*known, "-", turn["what"], "-", "-", "-", "-", why]
    for attempt in turn["attempts"]:
        cost = attempt.get("cost", 0)
        yield [
            turn["at"][:19],
            turn["user"],
            turn["workspace"],
            attempt["model"],
            attempt["error"] or (ANSWERED if attempt.get("answered", True) else STOPPED),
            f"{attempt['seconds']:.2f}",
            attempt["input_tokens"],
            attempt["output_tokens"],
            "unknown" if cost is None else format_usd(cost),
            attempt.get("why", ""),
        ]
