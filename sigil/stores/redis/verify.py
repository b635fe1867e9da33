"""Recounts the accounting identity from lanes and records.

    accepted = answered + refused + stopped + dead + waiting or running

It must hold for every day. The ledger counts messages as they come and end; here they are counted
again, from their records. Days whose records have begun to expire are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sigil.lanes.effects import Outcome
from sigil.lanes.lane import LaneKind
from sigil.stores.redis.client import Client

Ledgers = Mapping[str, Mapping[str, int]]
# Messages move while they are counted. Only what is wrong every time is a problem.
TRIES = 5
_BATCH = 500
_FIELDS = ("day", "outcome", "lane:inbound")


async def verify(
    client: Client, read_ledgers: Callable[[], Awaitable[Ledgers]], retention_days: int
) -> Mapping[str, Any]:
    """Returns `balanced` (bool), `problems` (sentences), and `days`: what the ledger and the
    records say for each day."""
    suspects: dict[str, str] | None = None
    days: dict[str, Any] = {}
    for _ in range(TRIES):
        before = await read_ledgers()
        recounted, problems = await _recount(client)
        after = await read_ledgers()
        days, differences = _compare(before, after, recounted, retention_days)
        found = dict(zip(problems, problems, strict=True)) | differences
        repeated = found.keys() if suspects is None else suspects.keys() & found.keys()
        suspects = {what: found[what] for what in repeated}
        if not suspects:
            break
    left = sorted((suspects or {}).values())
    return {"balanced": not left, "problems": left, "days": days}


def _compare(
    before: Ledgers,
    after: Ledgers,
    recounted: Mapping[str, Counter[str]],
    retention_days: int,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The days, and a sentence for each number that differs, by its day and name."""
    oldest = (datetime.now(UTC) - timedelta(days=retention_days - 1)).strftime("%Y-%m-%d")
    days: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for day in sorted(after.keys() | recounted.keys()):
        if day < oldest:
            continue
        least, most = before.get(day, {}), after.get(day, {})
        records = recounted.get(day, Counter())
        days[day] = {"ledger": dict(most), "records": dict(records)}
        for name in ("accepted", *Outcome):
            # The ledger was read before and after the records. It only grows, so the records must
            # be somewhere between.
            if not least.get(name, 0) <= records[name] <= most.get(name, 0):
                problems[f"{day}: {name}"] = (
                    f"{day}: {name} is {most.get(name, 0)} in the ledger, "
                    f"{records[name]} in records"
                )
    return days, problems


async def _recount(client: Client) -> tuple[dict[str, Counter[str]], list[str]]:
    """What the records say for each day, and messages that are in no lane or in several."""
    days: dict[str, Counter[str]] = defaultdict(Counter)
    problems: list[str] = []
    places = await _count_places(client)
    async for ids, records in _scan_records(client):
        for item_id, (day, outcome, inbound) in zip(ids, records, strict=True):
            if inbound is None or day is None:
                continue
            counter = days[day.decode()]
            counter["accepted"] += 1
            counter[outcome.decode() if outcome else "waiting"] += 1
            if places[item_id] != (0 if outcome else 1):
                problems.append(
                    f"message {item_id} is {places[item_id]} times in a lane, outcome {outcome}"
                )
    return days, problems


async def _count_places(client: Client) -> Counter[str]:
    """How many times each message is in a lane."""
    places: Counter[str] = Counter()
    with client.guard():
        for kind in (LaneKind.INBOUND, LaneKind.SESSION):
            pattern = _escape_pattern(client.keys.lane(kind.value)) + ":*:ids"
            seen: set[bytes] = set()
            async for key in client.redis.scan_iter(match=pattern, count=_BATCH):
                if key not in seen:  # SCAN may name a key twice
                    seen.add(key)
                    ids = await client.redis.lrange(key, 0, -1)
                    places.update(item_id.decode() for item_id in ids)
    return places


async def _scan_records(client: Client) -> AsyncIterator[tuple[list[str], list[Any]]]:
    """The ids of all items with the fields of their records, in batches."""
    prefix = client.keys.item("")
    batch: list[str] = []
    seen: set[str] = set()
    with client.guard():
        async for key in client.redis.scan_iter(match=_escape_pattern(prefix) + "*", count=_BATCH):
            item_id = key.decode().removeprefix(prefix)
            if item_id not in seen:
                seen.add(item_id)
                batch.append(item_id)
            if len(batch) >= _BATCH:
                yield batch, await _read_records(client, batch)
                batch = []
        if batch:
            yield batch, await _read_records(client, batch)


async def _read_records(client: Client, ids: list[str]) -> list[Any]:
    async with client.redis.pipeline(transaction=False) as pipe:
        for item_id in ids:
            pipe.hmget(client.keys.item(item_id), _FIELDS)
        return list(await pipe.execute())


def _escape_pattern(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\^-" else char for char in text)
