"""`sigil status`: what was accepted and how it ended, and which models rest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sigil.cli import backend, output, providers
from sigil.config import Settings
from sigil.effects import Outcome
from sigil.providers.chain.health_store import Cooldown

ENDED = tuple(outcome.value for outcome in Outcome)


def run(settings: Settings, *, verify: bool, as_json: bool) -> int:
    """Prints the counts per day (UTC). 1 if a recount was asked for and does not balance."""
    days, resting, recount = asyncio.run(_read(settings, verify=verify))
    if as_json:
        data = {"days": days, "resting": [asdict(cooldown) for cooldown in resting]}
        output.as_json(data | ({} if recount is None else {"verify": recount}))
    else:
        _show(days)
        if resting:
            output.line("")
            providers.show_resting(resting)
        if recount is not None:
            _show_recount(recount)
    return 0 if recount is None or recount["balanced"] else 1


async def _read(
    settings: Settings, *, verify: bool
) -> tuple[dict[str, dict[str, int]], Sequence[Cooldown], Mapping[str, Any] | None]:
    async with backend.stores(settings) as stores:
        counts = await stores.lanes.counts()
        resting = await stores.health.list_cooldowns()
        recount = await stores.lanes.verify() if verify else None
    days = {day: with_open(counts[day]) for day in sorted(counts, reverse=True)}
    return days, resting, recount


def with_open(counts: Mapping[str, int]) -> dict[str, int]:
    """The day's counts, and as `open` what is still waiting or running of it."""
    ended = sum(counts.get(name, 0) for name in ENDED)
    return {**counts, "open": counts.get("accepted", 0) - ended}


def _show(days: Mapping[str, Mapping[str, int]]) -> None:
    if not days:
        output.line("Nothing was accepted yet.")
        return
    columns = ("accepted", *ENDED, "open", "duplicate")
    rows = [[day, *(counts.get(name, 0) for name in columns)] for day, counts in days.items()]
    output.table(("day", *columns), rows)


def _show_recount(recount: Mapping[str, Any]) -> None:
    if recount["balanced"]:
        output.line("Recounted: it balances.")
        return
    output.line("Recounted: it does NOT balance.")
    for problem in recount.get("problems", ()):
        output.line(f"  {problem}")
