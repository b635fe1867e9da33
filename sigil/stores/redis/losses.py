"""Finds the items that are not where they should be, by a walk over all records.

An item that has not ended lies in one lane, once; one that has ended lies in none. Items move while
the walk goes on, so what looks wrong is looked at again, its record and its lanes at one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sigil.lanes.effects import Outcome
from sigil.lanes.lane import LaneKind
from sigil.stores.redis.client import Client
from sigil.stores.redis.snapshot import (
    Snapshot,
    escape_pattern,
    read_ledgers,
    read_records,
    take_snapshot,
)

# A server answers nobody else while a script runs. These take it about a millisecond.
_KEYS_AT_ONCE = 500
_ITEMS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Loss:
    """One item that is not where it should be. `day` (YYYY-MM-DD) is that of its acceptance, or
    of its push for a reply; `lane` is the last one known. Both may be empty."""

    id: str
    day: str
    lane: str
    what: str

    def __str__(self) -> str:
        of_day = f" of {self.day}" if self.day else ""
        return f"{self.id}{of_day} {self.what}; its last lane: {self.lane}"

    def describe(self) -> Mapping[str, str]:
        """What `sigil status --json` shows."""
        return asdict(self)


async def find_losses(client: Client, retention_days: int) -> tuple[list[Loss], list[str]]:
    """What is lost, doubled or left over, and a sentence for each day that has fewer records of
    ended messages than its ledger counts: without its record a message could be taken twice."""
    ledgers = await read_ledgers(client)
    open_ids, ended = await _walk_records(client)
    snapshot = await take_snapshot(client)
    suspects = (open_ids - snapshot.places.keys()) | await _find_misplaced(client, snapshot)
    losses = await _look_again(client, sorted(suspects), snapshot)
    # Days whose records have begun to expire are left out.
    now = await client.read_time()
    oldest = (now - timedelta(days=retention_days - 1)).date().isoformat()
    missing = [
        f"{day}: {name} is {count} in the ledger, {ended[day, name]} in records"
        for day, ledger in sorted(ledgers.items())
        if day >= oldest
        for name in Outcome
        if (count := ledger.get(name, 0)) > ended[day, name]
    ]
    return losses, missing


async def _walk_records(client: Client) -> tuple[set[str], Counter[tuple[str, str]]]:
    """The ids of all items that have not ended, and how many messages have, by day and outcome."""
    pattern = escape_pattern(client.keys.item("")) + "*"
    open_ids: set[str] = set()
    ended: Counter[tuple[str, str]] = Counter()
    cursor = b"0"
    while True:
        args = (pattern, cursor, _KEYS_AT_ONCE)
        cursor, ids, counts = await client.run_script("walk_records", args=args)
        open_ids.update(item_id.decode() for item_id in ids)
        for name, count in zip(counts[::2], counts[1::2], strict=True):
            day, _, outcome = name.decode().partition(" ")
            ended[day, outcome] += count
        if cursor == b"0":
            return open_ids, ended


async def _find_misplaced(client: Client, snapshot: Snapshot) -> set[str]:
    """The items in lanes that have no record, have ended, or are in lanes twice."""
    fields = ("day", "outcome", "delivery")
    records = await read_records(client, snapshot.places, fields)
    return {
        item_id
        for item_id, (day, outcome, delivery) in records.items()
        if day is None or outcome or delivery or snapshot.places[item_id] > 1
    }


async def _look_again(client: Client, ids: list[str], snapshot: Snapshot) -> list[Loss]:
    losses: list[Loss] = []
    for start in range(0, len(ids), _ITEMS_AT_ONCE):
        some = ids[start : start + _ITEMS_AT_ONCE]
        pairs = [part for item_id in some for part in (item_id, snapshot.lanes.get(item_id, ""))]
        answers: list[Any] = await client.run_script("find_items", args=pairs)
        for item_id, (day, ending, lane, places) in zip(some, answers, strict=True):
            seen = snapshot.lanes.get(item_id, "")
            what = _judge(day.decode(), ending.decode(), lane.decode(), places)
            if what:
                losses.append(Loss(item_id, day.decode(), lane.decode() or seen, what))
    return losses


def _judge(day: str, ending: str, lane: str, places: int) -> str | None:
    """What is wrong with an item; None if nothing is. `lane` is the one that its record names."""
    if not day and not lane:
        return "has no record and is in a lane" if places else None
    if ending:
        return f"has ended ({ending}) and is still in a lane" if places else None
    if places > 1:
        return f"is {places} times in a lane"
    # A message that was never accepted has no day, and replies of older versions have none.
    was_counted = bool(day) or lane.startswith(f"{LaneKind.DELIVERY}:")
    return "is in no lane" if places == 0 and was_counted else None
