"""What lies in the lanes, and what the ledgers say at the same moment.

Lanes are found by the index of due lanes, which names each lane that has work. So this costs what
waits, however many sessions are idle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sigil.stores.redis.client import Client

Ledgers = Mapping[str, Mapping[str, int]]

# A day's ledger is kept for 40 days after its first counts. A clock that stepped back leaves some
# of days to come.
_LEDGER_DAYS = range(-2, 41)
# A server answers nobody else while a script runs. These take it about a millisecond.
_LANES_AT_ONCE = 500
_KEYS_AT_ONCE = 1_000
_RECORDS_AT_ONCE = 1_000


@dataclass(slots=True)
class Snapshot:
    """`places`: how often each item is in a lane; `lanes`: in which one.

    `before` and `after` are the ledgers. They are the same if the lanes were few enough to be read
    at one moment. Otherwise messages have moved between the two, and each message that has waited
    all the while is in `places`.
    """

    before: Ledgers
    after: Ledgers
    places: Counter[str] = field(default_factory=Counter)
    lanes: dict[str, str] = field(default_factory=dict)


async def take_snapshot(client: Client) -> Snapshot:
    """Reads all lanes that have work, about 500 at a time."""
    days = await _list_days(client)
    cursor, work, flat = await _list_work(client, b"0", days)
    before = _read_flat_ledgers(days, flat)
    snapshot = Snapshot(before, before)
    _add_work(snapshot, work)
    if cursor == b"0":
        return snapshot
    # A message may move from a lane that is still to be read to one that was read. Messages only
    # move forward and no step is repeated, so a second look at all lanes finds it.
    for start in (cursor, b"0"):
        cursor = start
        while True:
            cursor, work, _ = await _list_work(client, cursor)
            _add_work(snapshot, work)
            if cursor == b"0":
                break
    snapshot.after = await read_ledgers(client)
    return snapshot


async def read_ledgers(client: Client) -> Ledgers:
    """The counters of each day, newest first; days without any are left out."""
    ledgers = await _read_raw_ledgers(client)
    return {day: _read_counts(ledger.items()) for day, ledger in ledgers.items() if ledger}


async def find_wrong_ledgers(client: Client) -> list[str]:
    """A sentence for each ledger that cannot count any more."""
    wrong = []
    for day, ledger in (await _read_raw_ledgers(client)).items():
        key = client.keys.ledger(day)
        if ledger is None:
            wrong.append(f"{key} is of another type: no message of that day can end; rename it")
        else:
            names = [name.decode() for name, count in ledger.items() if not count.isdigit()]
            wrong += [f"{key} has no number of {name}: correct it with HSET" for name in names]
    return wrong


async def read_forgotten(
    client: Client, cursor: bytes, *, put_back: bool
) -> tuple[bytes, dict[str, int]]:
    """The next part of a walk over all lanes, which begins and ends with the cursor `0`: lanes that
    have work and are missing from the index, and how many items each has."""
    pattern = escape_pattern(client.keys.lane("")) + "*:ids"
    args = (pattern, cursor, _KEYS_AT_ONCE, int(put_back))
    cursor, flat = await client.run_script("find_forgotten", args=args)
    lanes = zip(flat[::2], flat[1::2], strict=True)
    return cursor, {lane.decode(): waiting for lane, waiting in lanes}


async def read_records(
    client: Client, ids: Iterable[str], fields: Sequence[str]
) -> dict[str, tuple[str | None, ...]]:
    """These fields of each item's record, by item id; None for a field that is not there."""
    found: dict[str, tuple[str | None, ...]] = {}
    width, wanted = len(fields), list(ids)
    for start in range(0, len(wanted), _RECORDS_AT_ONCE):
        some = wanted[start : start + _RECORDS_AT_ONCE]
        flat = await client.run_script("read_records", args=(width, *fields, *some))
        values = [None if value is None else value.decode() for value in flat]
        for place, item_id in enumerate(some):
            found[item_id] = tuple(values[place * width : (place + 1) * width])
    return found


async def _list_work(client: Client, cursor: bytes, days: Sequence[str] = ()) -> Any:
    return await client.run_script("list_work", args=(cursor, _LANES_AT_ONCE, *days))


def _add_work(snapshot: Snapshot, work: Sequence[Any]) -> None:
    places: Counter[str] = Counter()
    for lane, ids in zip(work[::2], work[1::2], strict=True):
        for item_id in ids:
            places[item_id.decode()] += 1
            snapshot.lanes[item_id.decode()] = lane.decode()
    # What was seen in an earlier part has moved. It is in two lanes only if one part says so.
    snapshot.places |= places


def _read_flat_ledgers(days: Sequence[str], ledgers: Sequence[Sequence[bytes]]) -> Ledgers:
    return {
        day: _read_counts(zip(flat[::2], flat[1::2], strict=True))
        for day, flat in zip(days, ledgers, strict=True)
        if flat
    }


async def _read_raw_ledgers(client: Client) -> dict[str, Mapping[bytes, bytes] | None]:
    """The ledger of each day as it is stored; None if it is a key of another type."""
    days = await _list_days(client)
    with client.guard():
        async with client.redis.pipeline(transaction=False) as pipe:
            for day in days:
                pipe.hgetall(client.keys.ledger(day))
            ledgers = await pipe.execute(raise_on_error=False)
        for ledger in ledgers:
            if isinstance(ledger, Exception) and not str(ledger).startswith("WRONGTYPE"):
                raise ledger
    return {
        day: None if isinstance(ledger, Exception) else ledger
        for day, ledger in zip(days, ledgers, strict=True)
    }


def _read_counts(counts: Iterable[tuple[bytes, bytes]]) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in counts if count.isdigit()}


async def _list_days(client: Client) -> list[str]:
    """By the clock of the server, which dates the ledgers."""
    today = (await client.read_time()).date()
    return [(today - timedelta(days=ago)).isoformat() for ago in _LEDGER_DAYS]


def escape_pattern(text: str) -> str:
    """For `SCAN`: the pattern that matches just this text."""
    return "".join(f"\\{char}" if char in "*?[]\\^-" else char for char in text)
