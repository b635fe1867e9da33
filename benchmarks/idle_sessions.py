"""People who wrote once and are not there just now, in any number, within seconds."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import redis

from benchmarks.fleet import free_mib, peak_mib
from benchmarks.load import Load
from sigil.config import Settings
from sigil.host.embedded import EmbeddedValkey

_A_SCRIPT = 200  # copies that one script makes
_LASTS_MS = 3_600_000  # an idle session has no lanes any more: they live for an hour
_GUESS_BYTES = 8_000  # of a session, until one was measured
# Redis needs more while it starts and while it writes its file anew.
_HEADROOM = 1.5
# Ids of people, items and sessions, in the names of keys. Shorter words are kinds of keys.
_ID = re.compile(rb"[A-Za-z0-9_-]{14,}")
_DIGITS = 7

# ARGV: first number, how many, key of the set of users, an id in it, then of each key its name, its
# time to live in ms and its value. `{n}` stands for the number.
_COPY = """
local function name(text, n) return (string.gsub(text, '{n}', string.format('%07d', n))) end
for n = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1 do
  redis.call('SADD', ARGV[3], name(ARGV[4], n))
  for i = 5, #ARGV, 3 do redis.call('RESTORE', name(ARGV[i], n), ARGV[i + 1], ARGV[i + 2]) end
end
"""


class IdleSessions:
    """Copies what a real message of a real person has left behind.

    In each id in the name of a key the last characters become the number of the copy; the values
    are those of the template. The ledger counts the copies too, so it still adds up.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._prefix = settings.redis.prefix.encode()
        self._folder = folder
        self._args: list[Any] = []
        self._counts: dict[Any, int] = {}
        self._made = 0
        self._bytes = _GUESS_BYTES

    async def take_template(self, settings: Settings, valkey: EmbeddedValkey) -> None:
        """Needs a running fleet."""
        server = redis.Redis.from_url(valkey.url)
        async with Load(settings) as load:
            await load.send("somebody-else", 1, 1)  # what is there once, is there now
            before = set(server.scan_iter(count=1000))
            ledgers = self._read_ledger(server)
            await load.send("the-template-of-all", 1, 1)
        for name, count in self._read_ledger(server).items():
            self._counts[name] = count - ledgers.get(name, 0)
        copied = []
        for key in set(server.scan_iter(count=1000)) - before:
            name, ttl = _ID.sub(lambda id: id[0][:-_DIGITS] + b"{n}", key), server.pttl(key)
            if b"{n}" in name and (ttl == -1 or ttl > _LASTS_MS):
                copied.append(name)
                self._args += (name, max(0, ttl), server.dump(key))
        user = self._prefix + b"user:"
        (user_id,) = [n.removeprefix(user) for n in copied if n.startswith(user)]
        self._args[:0] = (self._prefix + b"users", user_id)

    def have_room(self, count: int) -> bool:
        """Whether this machine can hold so many; says so if it cannot."""
        needed = (count - self._made) * self._bytes * _HEADROOM / 2**20
        disk = shutil.disk_usage(self._folder).free / 2**20
        if needed <= min(free_mib(), disk):
            return True
        print(
            f"{count:9,} idle sessions: SKIPPED, they need about {needed:,.0f} MiB; "
            f"{free_mib():,.0f} MiB of memory and {disk:,.0f} MiB on disk are free"
        )
        return False

    def grow_to(self, count: int, valkey: EmbeddedValkey) -> None:
        """Makes as many as are missing, and waits until Redis has written its file anew."""
        server = redis.Redis.from_url(valkey.url, socket_timeout=None)
        used = server.info("memory")["used_memory"]
        server.config_set("appendfsync", "no")
        server.config_set("auto-aof-rewrite-percentage", 0)
        copy = server.register_script(_COPY)
        for first in range(self._made, count, _A_SCRIPT):
            copy(args=[first, min(_A_SCRIPT, count - first), *self._args])
        for name, times in self._counts.items():
            server.hincrby(self._find_ledger(server), name, times * (count - self._made))
        server.bgrewriteaof()
        while _is_rewriting(server):
            time.sleep(0.2)
        server.config_set("appendfsync", "always")
        self._bytes = (server.info("memory")["used_memory"] - used) / (count - self._made)
        self._made = count

    def measure_memory(self, valkey: EmbeddedValkey) -> dict[str, float]:
        """Keys, and memory in MiB: in use, and the most that the process has had."""
        server = redis.Redis.from_url(valkey.url)
        return {
            "keys": server.dbsize(),
            "used_mib": round(server.info("memory")["used_memory"] / 2**20),
            "peak_mib": round(peak_mib(valkey.process)),
        }

    def _find_ledger(self, server: redis.Redis) -> Any:
        return max(server.scan_iter(match=self._prefix + b"ledger:*", count=1000))

    def _read_ledger(self, server: redis.Redis) -> dict[Any, int]:
        ledger = server.hgetall(self._find_ledger(server))
        return {name: int(count) for name, count in ledger.items()}


def _is_rewriting(server: redis.Redis) -> bool:
    state = server.info("persistence")
    return bool(state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])
