"""What messages cost: CPU of each process, Redis commands, and bytes in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import redis

_HOUR_MS = 3_600_000
# What belongs to people and their conversations, to days or to the installation, not to a message.
_NOT_OF_MESSAGES = frozenset(
    {"user", "users", "identity", "pairing", "paired", "session", "history", "memory", "usage"}
    | {"chat", "chats", "chat-seen", "chat-titles", "chat-owner"}
    | {"ledger", "secret", "audit", "metrics", "health", "directory", "lanes", "dead"}
)


@dataclass(frozen=True)
class Cost:
    """Of one message: CPU in microseconds by process, and what Redis ran. `commands` counts those
    inside scripts too."""

    cpu_us: Mapping[str, float]
    commands: float
    scripts: float

    @property
    def total_us(self) -> float:
        """The CPU of all processes."""
        return sum(self.cpu_us.values())


class Meter:
    """Reads the CPU clocks of processes (seconds, by the name of the process) and the server's
    counters, from one `start` to each `stop`."""

    def __init__(self, server: redis.Redis, clocks: Mapping[str, Callable[[], float]]) -> None:
        self._server = server
        self._clocks = clocks
        self.start()

    def start(self) -> None:
        """Forgets what was before."""
        self._cpu, self._commands, self._scripts = self._read()

    def stop(self, messages: int) -> Cost:
        """What each of so many messages has cost since the start."""
        cpu, commands, scripts = self._read()
        return Cost(
            {name: 1e6 * (cpu[name] - self._cpu[name]) / messages for name in cpu},
            (commands - self._commands) / messages,
            (scripts - self._scripts) / messages,
        )

    def _read(self) -> tuple[dict[str, float], int, int]:
        ran = self._server.info("commandstats")
        return (
            {name: clock() for name, clock in self._clocks.items()},
            self._server.info("stats")["total_commands_processed"],
            ran.get("cmdstat_evalsha", {}).get("calls", 0),
        )


def measure_bytes(server: redis.Redis, prefix: str) -> Counter[str]:
    """Bytes that Redis will still need 25 hours from now, by kind of key.

    Nobody waits 25 hours: what lasts longer has a longer time to live now, or none. Each such key
    is measured with MEMORY USAGE, which counts its name, its value and the table's entry. It
    should be called when all messages have just ended, and nothing runs.
    """
    sizes: Counter[str] = Counter()
    keys = list(server.scan_iter(match=f"{prefix}*", count=1000))
    for first in range(0, len(keys), 1000):
        some = keys[first : first + 1000]
        with server.pipeline(transaction=False) as pipe:
            for key in some:
                pipe.pttl(key)
                pipe.memory_usage(key)
            answers = pipe.execute()
        for key, ttl, size in zip(some, answers[::2], answers[1::2], strict=True):
            if ttl == -1 or ttl > 25 * _HOUR_MS:
                sizes[key.decode().removeprefix(prefix).partition(":")[0]] += size
    return sizes


def sum_of_messages(sizes: Counter[str]) -> int:
    """Those of `measure_bytes` that are there for messages, in and out together, and for nothing
    else: not people and what they said, which has bounds of its own, and not days."""
    return sum(size for kind, size in sizes.items() if kind not in _NOT_OF_MESSAGES)
