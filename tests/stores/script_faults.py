"""Scripts whose calls can be made to fail, one by one, and a look at all that is stored.

The clock stands still, so that two runs write the same.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sigil.errors import SigilError
from sigil.stores import Stores
from sigil.stores.redis import client

_REAL = client.script_text
NOW_S = 1_795_600_000

# Stands before each script: notes each call in a list, and lets one of them fail as Redis does.
_FAULTS = """
local redis = (function(real)
  local fault, log, count = 'fault:' .. ARGV[1], 'log:' .. ARGV[1], 0
  local fails_at = tonumber(real.call('GET', fault) or '0')
  local function run(call, name, ...)
    count = count + 1
    real.call('RPUSH', log, cjson.encode({ name, ... }))
    if count == fails_at then return call('LPOP', fault) end
    return call(name, ...)
  end
  return {
    call = function(...) return run(real.call, ...) end,
    pcall = function(...) return run(real.pcall, ...) end,
    error_reply = real.error_reply,
  }
end)(redis)
"""

# All keys under a prefix: key -> its type and its content. Random ids are left out.
_LOOK = """
local all = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local kind, value = redis.call('TYPE', key).ok
  if kind == 'hash' then
    value = {}
    local flat = redis.call('HGETALL', key)
    for i = 1, #flat, 2 do value[flat[i]] = flat[i + 1] end
    value.entry, value.nonce = value.entry and 'an id', nil
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then
    value = {}
    for i, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do value[i] = entry[2] end
  else value = redis.call('GET', key) end
  all[key] = { kind, value }
end
return cjson.encode(all)
"""

_READS = """EXISTS GET HEXISTS HGET HGETALL HKEYS HLEN HMGET HRANDFIELD INFO LINDEX LLEN LPOS LRANGE
PTTL SCAN TTL TYPE XRANGE ZCARD ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZSCORE"""
READS = frozenset(_READS.split())


def script_text(name: str) -> str:
    """To stand in for `sigil.stores.redis.client.script_text`."""
    text = _REAL(name)
    assert text.count("redis.call('TIME')") == 1
    return _FAULTS + text.replace("redis.call('TIME')", f"{{ '{NOW_S}', '0' }}")


Look = dict[str, tuple[str, Any]]


@dataclass
class Stage:
    """A state that can be had again and again, and what is done in it."""

    stores: Stores
    act: Callable[[], Awaitable[Any]]
    dumps: dict[bytes, bytes] = field(default_factory=dict)
    start: Look = field(default_factory=dict)
    calls: list[list[Any]] = field(default_factory=list)  # of the last `run`

    @property
    def redis(self) -> Any:
        return self.stores.backend.redis  # type: ignore[attr-defined]  # tests look inside

    @property
    def prefix(self) -> str:
        return str(self.stores.backend.keys.prefix)  # type: ignore[attr-defined]

    async def reset(self) -> None:
        keys = [key async for key in self.redis.scan_iter(match=self.prefix + "*", count=10_000)]
        async with self.redis.pipeline() as pipe:
            for key in keys:
                pipe.delete(key)
            for key, dump in self.dumps.items():
                pipe.restore(key, 0, dump)
            await pipe.execute()

    async def run(self, fails_at: int = 0) -> SigilError | None:
        """Acts once; the error, if it was raised."""
        await self.redis.delete(f"log:{self.prefix}")
        await self.redis.set(f"fault:{self.prefix}", fails_at)
        try:
            await self.act()
        except SigilError as error:
            return error
        finally:
            noted = await self.redis.lrange(f"log:{self.prefix}", 0, -1)
            self.calls = [json.loads(call) for call in noted]
            await self.redis.delete(f"log:{self.prefix}", f"fault:{self.prefix}")
        return None

    async def look(self) -> Look:
        found = json.loads(await self.redis.eval(_LOOK, 0, self.prefix))
        return {key.removeprefix(self.prefix): tuple(value) for key, value in found.items()}

    def list_keys(self) -> list[str]:
        """The keys that the last run has named, without the prefix."""
        names = {str(part) for call in self.calls for part in call[1:2]}
        return sorted(name[len(self.prefix) :] for name in names if name.startswith(self.prefix))


async def set_stage(stores: Stores, act: Callable[[], Awaitable[Any]]) -> Stage:
    """The state as it is now."""
    stage = Stage(stores, act)
    async for key in stage.redis.scan_iter(match=stage.prefix + "*", count=10_000):
        stage.dumps[key] = await stage.redis.dump(key)
    stage.start = await stage.look()
    return stage
