"""Recounts the accounting identity from lanes and records.

accepted = answered + refused + stopped + dead + waiting or running, for every day whose
records are all within their retention.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sigil.effects import Outcome
from sigil.lanes import LaneKind
from sigil.stores.redis.client import Client

Counts = Callable[[], Awaitable[Mapping[str, Mapping[str, int]]]]
# Messages move while they are counted: only what is found every time is a problem.
TRIES = 5
_BATCH = 500
_FIELDS = ("day", "outcome", "lane:inbound")


async def verify(client: Client, counts: Counts, retention_days: int) -> Mapping[str, Any]:
    """A mapping of `balanced` (bool), `problems` (sentences), and `days`: for each day what
    the ledger counted and what the records say."""
    suspects: dict[str, str] | None = None
    days: dict[str, Any] = {}
    for _ in range(TRIES):
        before = await counts()
        recounted, problems = await _recount(client)
        after = await counts()
        days, differences = _compare(before, after, recounted, retention_days)
        found = dict(zip(problems, problems, strict=True)) | differences
        known = found.keys() if suspects is None else suspects.keys() & found.keys()
        suspects = {what: found[what] for what in known}
        if not suspects:
            break
    left = sorted((suspects or {}).values())
    return {"balanced": not left, "problems": left, "days": days}


def _compare(
    before: Mapping[str, Mapping[str, int]],
    after: Mapping[str, Mapping[str, int]],
    recounted: Mapping[str, Counter[str]],
    retention_days: int,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The days, and for each number that differs (its day and name) a sentence."""
    oldest = (datetime.now(UTC) - timedelta(days=retention_days - 1)).strftime("%Y-%m-%d")
    days: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for day in sorted(after.keys() | recounted.keys()):
        if day < oldest:
            continue
        least, most = before.get(day, {}), after.get(day, {})
        found = recounted.get(day, Counter())
        days[day] = {"ledger": dict(most), "records": dict(found)}
        for name in ("accepted", *Outcome):
            # The records were read between the two looks at the ledger, which only grows.
            if not least.get(name, 0) <= found[name] <= most.get(name, 0):
                said = most.get(name, 0)
                problems[f"{day}: {name}"] = (
                    f"{day}: {name} is {said} in the ledger, {found[name]} in records"
                )
    return days, problems


async def _recount(client: Client) -> tuple[dict[str, Counter[str]], list[str]]:
    days: dict[str, Counter[str]] = defaultdict(Counter)
    problems: list[str] = []
    held = await _ids_in_lanes(client)
    prefix = client.keys.item("")
    async for ids, records in _records(client, prefix):
        for item_id, (day, outcome, inbound) in zip(ids, records, strict=True):
            if inbound is None or day is None:
                continue
            counter = days[day.decode()]
            counter["accepted"] += 1
            counter[outcome.decode() if outcome else "waiting"] += 1
            places = held.get(item_id, 0)
            if places != (0 if outcome else 1):
                problems.append(f"message {item_id} is {places} times in a lane, outcome {outcome}")
    return days, problems


async def _records(client: Client, prefix: str) -> Any:
    batch: list[str] = []
    with client.guard():
        seen: set[str] = set()
        async for key in client.redis.scan_iter(match=_literal(prefix) + "*", count=_BATCH):
            item_id = key.decode().removeprefix(prefix)
            if item_id not in seen:  # SCAN may name a key twice
                seen.add(item_id)
                batch.append(item_id)
            if len(batch) >= _BATCH:
                yield batch, await _read(client, batch)
                batch = []
        if batch:
            yield batch, await _read(client, batch)


async def _read(client: Client, ids: list[str]) -> list[Any]:
    async with client.redis.pipeline(transaction=False) as pipe:
        for item_id in ids:
            pipe.hmget(client.keys.item(item_id), _FIELDS)
        return list(await pipe.execute())


async def _ids_in_lanes(client: Client) -> Counter[str]:
    held: Counter[str] = Counter()
    with client.guard():
        for stage in (LaneKind.INBOUND, LaneKind.SESSION):
            pattern = _literal(client.keys.lane(stage.value)) + ":*:ids"
            seen: set[bytes] = set()
            async for key in client.redis.scan_iter(match=pattern, count=_BATCH):
                if key not in seen:
                    seen.add(key)
                    held.update(i.decode() for i in await client.redis.lrange(key, 0, -1))
    return held


def _literal(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\^-" else char for char in text)
