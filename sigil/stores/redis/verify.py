"""Compares the books with what is there.

    accepted = answered + failed + refused + stopped + dead + waiting or running

The ledger counts messages as they come and end. Those that have not ended lie in a lane, each in
one, and every lane that has work is in the index of due lanes. So for each day the ledger must
count as many open messages as lie in lanes. The same holds for replies: pushed = sent +
undelivered + waiting. This finds that something is lost, not what; see `losses`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sigil.lanes.effects import Outcome
from sigil.lanes.lane import LaneKind
from sigil.stores.redis.client import Client
from sigil.stores.redis.losses import find_losses
from sigil.stores.redis.snapshot import (
    Ledgers,
    Snapshot,
    find_wrong_ledgers,
    read_forgotten,
    read_records,
    take_snapshot,
)

# Many lanes are read in parts, and messages move meanwhile. Only what is wrong every time is a
# problem.
TRIES = 5
# The oldest ledgers may expire while they are compared.
_JUDGED_DAYS = 39


async def verify(client: Client, retention_days: int, *, deep: bool) -> Mapping[str, Any]:
    """Returns `balanced` (bool), `problems` (sentences), and `days`: for each day (YYYY-MM-DD) its
    `ledger`, and how many messages (`in_lanes`) and replies (`replies_in_lanes`) of it wait.

    `deep` walks over all keys, which takes about four seconds for each million, and adds `lost`:
    for each item that is not where it should be its `id`, `day`, `lane` and `what` is wrong. It
    also puts lanes back into the index of due lanes.
    """
    problems = await _find_wrong_keys(client)
    days, differences = await _compare_repeatedly(client)
    problems += differences
    if problems or deep:
        problems += await _find_forgotten(client, put_back=deep)
    report: dict[str, Any] = {"days": days}
    if deep:
        lost, missing = await find_losses(client, retention_days)
        report["lost"] = [loss.describe() for loss in lost]
        problems += [str(loss) for loss in lost] + missing
    return {"balanced": not problems, "problems": problems} | report


async def _find_wrong_keys(client: Client) -> list[str]:
    """A sentence for each key of another type, or without its number, that stops work: what is
    wrong, and what to do."""
    keys, problems = client.keys, []
    wanted = dict.fromkeys((keys.due(), keys.budget_holds(), keys.dead_letters()), "zset")
    for key, kind in (wanted | {keys.quarantine(): "hash"}).items():
        found = (await client.call("TYPE", key)).decode()
        if found not in {"none", kind}:
            problems.append(f"{key} is a {found}: rename it, and it is made anew")
        elif kind == "hash":
            with client.guard():
                quarantined: Any = await client.redis.hgetall(key)
            problems += [
                f"lane {lane.decode()} is in quarantine: {why.decode()}; rename that key, "
                "and the lane goes on within seconds"
                for lane, why in quarantined.items()
            ]
    return problems + await find_wrong_ledgers(client)


async def _find_forgotten(client: Client, *, put_back: bool) -> list[str]:
    """A sentence for each lane that has work and is missing from the index of due lanes."""
    then = "put back now" if put_back else "--deep puts it back, as workers do in time"
    problems = []
    cursor = b"0"
    while True:
        cursor, found = await read_forgotten(client, cursor, put_back=put_back)
        problems += [
            f"lane {lane} has {waiting} items and is missing from the index of due lanes: {then}"
            for lane, waiting in found.items()
        ]
        if cursor == b"0":
            return problems


async def _compare_repeatedly(client: Client) -> tuple[dict[str, Any], list[str]]:
    suspects: dict[str, str] | None = None
    days: dict[str, Any] = {}
    for _ in range(TRIES):
        days, found = await _compare(client)
        repeated = found.keys() if suspects is None else suspects.keys() & found.keys()
        suspects = {what: found[what] for what in sorted(repeated)}
        if not suspects:
            break
    return days, list((suspects or {}).values())


async def _compare(client: Client) -> tuple[dict[str, Any], dict[str, str]]:
    """The days, and a sentence for each number that differs, by its day and name."""
    snapshot = await take_snapshot(client)
    messages, replies = await _count_by_day(client, snapshot)
    days: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for day in sorted(snapshot.after.keys() | messages.keys() | replies.keys())[-_JUDGED_DAYS:]:
        least, most = _bound_open(snapshot, day, "accepted", tuple(Outcome))
        if not least <= messages[day] <= most:
            problems[f"{day}: messages"] = (
                f"{day}: {most} messages are open in the ledger, {messages[day]} lie in lanes"
            )
        # Only what is missing is judged. Processes of an older version do not count what they push.
        least, most = _bound_open(snapshot, day, "replies", ("sent", "undelivered"))
        if replies[day] < least:
            problems[f"{day}: replies"] = (
                f"{day}: {most} replies are open in the ledger, {replies[day]} lie in lanes"
            )
        days[day] = {
            "ledger": dict(snapshot.after.get(day, {})),
            "in_lanes": messages[day],
            "replies_in_lanes": replies[day],
        }
    return days, problems


def _bound_open(snapshot: Snapshot, day: str, begun: str, ends: tuple[str, ...]) -> tuple[int, int]:
    """The least and the most items of a day that can have been open while lanes were read. The
    counters only grow, so both are the same if nothing has moved."""

    def read(ledgers: Ledgers, *names: str) -> int:
        return sum(ledgers.get(day, {}).get(name, 0) for name in names)

    least = read(snapshot.before, begun) - read(snapshot.after, *ends)
    most = read(snapshot.after, begun) - read(snapshot.before, *ends)
    return least, most


async def _count_by_day(client: Client, snapshot: Snapshot) -> tuple[Counter[str], Counter[str]]:
    """How many messages and replies of each day lie in lanes. What was never counted has no day."""
    messages: Counter[str] = Counter()
    replies: Counter[str] = Counter()
    records = await read_records(client, snapshot.places, ("day",))
    for item_id, (day,) in records.items():
        if day is not None:
            is_reply = snapshot.lanes[item_id].startswith(f"{LaneKind.DELIVERY}:")
            (replies if is_reply else messages)[day] += snapshot.places[item_id]
    return messages, replies
