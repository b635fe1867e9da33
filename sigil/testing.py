"""What the tests of those who build on Sigil need: fakes that keep the contracts, and a way
to run a whole conversation without Celery and without sleeping.

Needs `fakeredis[lua]` beyond the base dependencies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.memory import MemoryChannel
from sigil.lanes.lane import LaneKind, lane_kind
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.stores.base import Stores
from sigil.stores.redis import build_stores
from sigil.stores.redis.client import Client
from sigil.stores.redis.keys import Keys

if TYPE_CHECKING:
    from sigil.gateway import Gateway

__all__ = [
    "FakeProvider",
    "MemoryChannel",
    "ScriptedProvider",
    "age_processes",
    "end_cooldowns",
    "end_rests",
    "expire_accounts",
    "expire_leases",
    "expire_probes",
    "fake_stores",
    "make_due",
    "settle",
]

MOST_ROUNDS = 10_000
MOST_WAITS = 3

# ARGV: prefix. Every lease that is held has run out.
_EXPIRE = """
local due = ARGV[1] .. 'lanes:due'
for _, lane in ipairs(redis.call('ZRANGE', due, 0, -1)) do
  local key = ARGV[1] .. 'lane:' .. lane
  if redis.call('HGET', key, 'held') == '1' then
    redis.call('HSET', key, 'lease_until', '0')
    redis.call('ZADD', due, 0, lane)
  end
end
"""

# ARGV: prefix. Every lane that nobody holds has reached its due time, and what was written counts
# for no limit any more.
_MAKE_DUE = """
local due = ARGV[1] .. 'lanes:due'
for _, lane in ipairs(redis.call('ZRANGE', due, 0, -1)) do
  local key = ARGV[1] .. 'lane:' .. lane
  if redis.call('HGET', key, 'held') ~= '1' then
    redis.call('HDEL', key, 'parked_until', 'quiet_until', 'quiet_from')
    redis.call('ZREM', ARGV[1] .. 'lanes:waiting', lane)
    redis.call('ZADD', due, 0, lane)
    for _, id in ipairs(redis.pcall('LRANGE', key .. ':ids', 0, -1)) do
      redis.pcall('HDEL', ARGV[1] .. 'item:' .. id, 'due')
    end
  end
end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. 'limit:*')) do redis.call('DEL', key) end
"""

# ARGV: prefix, what in a state (see `lua/admit.lua`) to replace, by what. All that is known of
# models is of an earlier time.
_AGE = """
for _, name in ipairs(redis.call('ZRANGE', ARGV[1] .. 'health', 0, -1)) do
  local key = ARGV[1] .. name
  local known = redis.call('HGETALL', key)
  for at = 1, #known, 2 do
    redis.call('HSET', key, known[at], (string.gsub(known[at + 1], ARGV[2], ARGV[3])))
  end
end
"""

# ARGV: prefix. All that outbound workers wait for is over: the rests of accounts, and the paces.
_END_RESTS = """
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. 'account-rest:*')) do
  redis.call('HSET', key, 'until', '0')
end
for _, kind in ipairs({ 'account-pace:*', 'chat-pace:*' }) do
  for _, key in ipairs(redis.call('KEYS', ARGV[1] .. kind)) do redis.call('DEL', key) end
end
"""

# ARGV: prefix, ms. All processes wrote their records so much earlier (see `lua/fleet.lua`).
_AGE_PROCESSES = """
local key = ARGV[1] .. 'fleet'
local known = redis.call('HGETALL', key)
for at = 1, #known, 2 do
  local written, record = string.match(known[at + 1], '^(%d+)( .*)$')
  redis.call('HSET', key, known[at], string.format('%.0f', written - ARGV[2]) .. record)
end
"""

# ARGV: prefix, ms. The lease of every account ran out long ago; with ms, the clock has stepped back
# by so many since each lease was taken.
_EXPIRE_ACCOUNTS = """
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1] .. 'account:*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local ahead = tonumber(ARGV[2])
    for _, name in ipairs({ 'lease_until', 'leased_at' }) do
      local at = ahead > 0 and redis.call('HGET', key, name) + ahead or 0
      redis.call('HSET', key, name, string.format('%.0f', at))
    end
  end
until cursor == '0'
"""


def fake_stores() -> Stores:
    """Every store over fakeredis, empty; of the same type as the real ones."""
    import fakeredis

    redis = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    return build_stores(Client(redis, Keys()), can_block=False)


async def expire_leases(stores: Stores) -> None:
    """Lets every lease run out now, as if its holder had been silent for too long."""
    await _run(stores, _EXPIRE)


async def make_due(stores: Stores) -> None:
    """Lets every due time (parking, coalescing, being put off, over the limit) be reached now."""
    await _run(stores, _MAKE_DUE)


async def end_cooldowns(stores: Stores) -> None:
    """Lets the time of every cooldown be over now: what rested waits for its probe."""
    await _run(stores, _AGE, "^%d+", "0")


async def end_rests(stores: Stores) -> None:
    """Lets every account's rest be over now, and every pause between two messages."""
    await _run(stores, _END_RESTS)


async def expire_probes(stores: Stores) -> None:
    """Lets every probe be overdue now, as if the process that made it had died."""
    await _run(stores, _AGE, "^(%d+) %d+", "%1 0")


async def age_processes(stores: Stores, seconds: float) -> None:
    """Lets every process have been silent for so many more seconds."""
    await _run(stores, _AGE_PROCESSES, str(round(seconds * 1000)))


async def expire_accounts(stores: Stores, *, ahead: float = 0.0) -> None:
    """Lets the lease of every account run out now, as if its process had died. With `ahead`, the
    leases were taken by a clock that was so many seconds ahead."""
    await _run(stores, _EXPIRE_ACCOUNTS, str(round(ahead * 1000)))


async def settle(gateway: Gateway) -> None:
    """Drives all lanes until nothing is waiting, without Celery and without sleeping.

    Due times count as reached; cooldowns, rests of accounts and pauses between messages as over. A
    turn that has waited three times for a model counts as out of patience. A lane that somebody
    holds is left alone.
    """

    async def turn(lane: str) -> None:
        gateway.load_agent().most_waits = MOST_WAITS
        await gateway.turn(lane)

    steps = {
        LaneKind.INBOUND: gateway.route,
        LaneKind.SESSION: turn,
        LaneKind.DELIVERY: gateway.deliver,
    }
    for _ in range(MOST_ROUNDS):
        await make_due(gateway.stores)
        await end_cooldowns(gateway.stores)
        await end_rests(gateway.stores)
        lanes = (await gateway.stores.lanes.sweep(1_000)).wake
        if not lanes:
            return
        for lane in lanes:
            await steps[lane_kind(lane)](lane)
    raise AssertionError(f"lanes are still not empty after {MOST_ROUNDS} rounds: {lanes[:3]}")


async def _run(stores: Stores, script: str, *args: str) -> None:
    client = stores.backend
    assert isinstance(client, Client)
    with client.guard():
        await client.redis.eval(script, 0, client.keys.prefix, *args)
