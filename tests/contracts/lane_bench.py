"""What the contracts of the lane share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sigil.lanes.effects import Push
from sigil.lanes.lane import Lease, Refusal
from sigil.stores import Stores

CHAT, SESSION, TARGET = "inbound:memory:a", "session:any:b", "delivery:memory:c"
TTL = 15.0


async def fill(stores: Stores, lane: str, *ids: str) -> None:
    for item_id in ids:
        await stores.lanes.push(Push(lane, item_id, {"body": f"text of {item_id}"}))


async def take(stores: Stores, lane: str, nonce: str = "n", limit: int = 10) -> Lease:
    lease = await stores.lanes.take(lane, nonce, ttl=TTL, limit=limit)
    assert isinstance(lease, Lease), lease
    return lease


async def refused(stores: Stores, lane: str) -> Refusal | Lease:
    return await stores.lanes.take(lane, "another", ttl=TTL, limit=10)


async def waiting(stores: Stores, lane: str) -> list[str]:
    found = await redis(stores).lrange(f"{prefix(stores)}lane:{lane}:ids", 0, -1)
    return [item_id.decode() for item_id in found]


def redis(stores: Stores) -> Any:
    return stores.backend.redis  # type: ignore[attr-defined]  # what only a look inside can show


def prefix(stores: Stores) -> str:
    return str(stores.backend.keys.prefix)  # type: ignore[attr-defined]


def ids(lease: Lease) -> list[str]:
    return [item.id for item in lease.items]


async def today(stores: Stores) -> dict[str, int]:
    counts = await stores.lanes.counts()
    return dict(counts.get(datetime.now(UTC).strftime("%Y-%m-%d"), {}))


async def everything(stores: Stores) -> dict[bytes, Any]:
    """All that is stored, to show that nothing was changed."""
    found: dict[bytes, Any] = {}
    client = redis(stores)
    async for key in client.scan_iter(match=prefix(stores) + "*"):
        kind = (await client.type(key)).decode()
        if kind == "hash":
            found[key] = await client.hgetall(key)
        elif kind == "list":
            found[key] = await client.lrange(key, 0, -1)
        elif kind == "zset":
            found[key] = await client.zrange(key, 0, -1, withscores=True)
        elif kind == "set":
            found[key] = await client.smembers(key)
        elif kind == "stream":
            found[key] = await client.xrange(key)
        else:
            found[key] = await client.get(key)
    return found
