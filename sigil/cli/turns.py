"""`sigil turns`: which models the last turns called, how that went, and what it cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

from sigil.cli import backend, output
from sigil.config import Settings
from sigil.money.amounts import format_usd

COLUMNS = ("at", "user", "workspace", "model", "result", "seconds", "in", "out", "cost", "why")
ANSWERED, STOPPED = "answered", "stopped"
# Refusals and dead letters share the log with turns; so many entries are looked through.
_ENTRIES = 1_000


def run(settings: Settings, *, limit: int, failed: bool, as_json: bool) -> int:
    """Prints the newest `limit` turns that called a model (`failed`: only those of which a call
    failed), newest last, one line for each call. Costs in JSON are micro-dollars."""
    turns = asyncio.run(_read(settings))
    kept = [turn for turn in turns if not failed or any(map(_went_wrong, turn["attempts"]))]
    kept = kept[-limit:]
    if as_json:
        output.as_json({"turns": kept})
    elif not kept:
        output.line("No turn has called a model yet." if not failed else "No call has failed.")
    else:
        output.table(COLUMNS, [row for turn in kept for row in _rows(turn)])
    return 0


async def _read(settings: Settings) -> list[dict[str, Any]]:
    async with backend.stores(settings) as stores:
        entries = [json.loads(entry) for entry in await stores.audit.recent(_ENTRIES)]
    return [entry for entry in entries if entry.get("attempts")]


def _went_wrong(attempt: Mapping[str, Any]) -> bool:
    return attempt["error"] is not None


def _rows(turn: Mapping[str, Any]) -> Iterator[list[object]]:
    for attempt in turn["attempts"]:
        yield [
            turn["at"][:19],
            turn["user"],
            turn["workspace"],
            attempt["model"],
            attempt["error"] or (ANSWERED if attempt.get("answered", True) else STOPPED),
            f"{attempt['seconds']:.2f}",
            attempt["input_tokens"],
            attempt["output_tokens"],
            format_usd(attempt.get("cost", 0)),
            attempt.get("why", ""),
        ]
