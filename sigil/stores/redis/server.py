"""What the server says of itself: how it is set up, and whether it takes writes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sigil.errors import CommandRefused, ConfigError, StoreDenied, StoreFull
from sigil.stores.base import Memory
from sigil.stores.redis.bounds import DAY, LEDGER_DAYS

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

_MAKE_ROOM = (
    "Raise its maxmemory (redis.maxmemory of the private Valkey), or lower retention_days; "
    "docs/guides/redis.md says how much a message needs."
)
_NEARLY_FULL = 0.75


async def read_memory(client: Client, *, like_a_write: bool = False) -> Memory:
    """`like_a_write`: raises what a write would raise now."""
    # That is the name of a pub/sub channel, so there is never such a key.
    never = client.keys.stops()
    used, limit, is_full = await client.run_script("room", (never,), (int(like_a_write),))
    return Memory(int(used), int(limit), takes_messages=is_full != b"1")


async def check_room(client: Client) -> None:
    """See `Backend.check_room`."""
    memory = await read_memory(client, like_a_write=True)
    if not memory.takes_messages:
        raise make_full_error()


def make_full_error() -> StoreFull:
    """For new messages: Redis itself would still take a write."""
    return StoreFull(
        "the memory of Redis is nearly full, so no new messages are taken.", hint=_MAKE_ROOM
    )


async def read_secret(client: Client) -> bytes:
    """See `Client.read_secret`. Raises `ConfigError` if it is lost."""
    days = (time.gmtime(time.time() + (1 - day) * DAY) for day in range(LEDGER_DAYS + 2))
    traces = [client.keys.ledger(time.strftime("%Y-%m-%d", day)) for day in days]
    keys = (client.keys.secret(), client.keys.due(), *traces)
    secret: bytes | None = await client.run_script("read_secret", keys, (secrets.token_hex(32),))
    if secret is None:
        raise ConfigError(
            f"the key '{client.keys.secret()}' is missing in Redis, although there are messages, "
            "which were stored with it. With another one they would not be found again.",
            hint="Restore it from a backup of this Redis. To begin anew without what is stored, "
            "set another redis.prefix.",
        )
    return secret


async def check_start(client: Client) -> None:
    """See `Backend.check_start`."""
    cluster = await _read_info(client, "cluster")
    if cluster.get("cluster_enabled") == "1":
        raise ConfigError(
            "this Redis runs in cluster mode, which Sigil cannot use: a step changes many keys at "
            "once, and a cluster keeps them on different servers.",
            hint="Use a single server, or Sentinel for failover: cluster-enabled no.",
        )
    await client.read_secret()


async def list_warnings(client: Client) -> list[str]:
    """See `Backend.list_warnings`."""
    memory = await _read_info(client, "memory")
    persistence = await _read_info(client, "persistence")
    warnings = []
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        warnings.append(f"maxmemory-policy is {policy}: keys may be evicted. Set it to noeviction.")
    if persistence.get("aof_enabled") == "0":
        warnings.append(
            "appendonly is off: a crash of the server loses messages. "
            "Set appendonly yes and appendfsync always."
        )
    if warning := _describe_memory(await read_memory(client)):
        warnings.append(warning)
    return warnings


def _describe_memory(memory: Memory) -> str | None:
    if memory.limit == 0:
        return (
            "maxmemory is 0: the server grows until the system ends it. "
            "Set it to about 70 % of the memory that it may use."
        )
    if memory.used > _NEARLY_FULL * memory.limit:
        return f"its memory is full to {memory.used / memory.limit:.0%}. {_MAKE_ROOM}"
    return None


async def _read_info(client: Client, section: str) -> Mapping[str, str]:
    """A section of INFO; empty if the user of this connection may not read it."""
    try:
        text: bytes = await client.call("INFO", section)
    except (CommandRefused, StoreDenied):
        return {}
    lines = (line.partition(":") for line in text.decode().splitlines())
    return {name: value for name, colon, value in lines if colon}
