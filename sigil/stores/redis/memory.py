"""The memory of workspaces in Redis: one capped list of JSON entries each."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from sigil.stores.redis.effects import MEMORY_TTL, MOST_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys

_WORD = re.compile(r"\w+")


class RedisMemory:
    """A `MemoryStore`. Adding may store an entry twice if a reply is lost."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def add(self, workspace_id: str, entries: Sequence[str]) -> None:
        """Appends entries; beyond 1,000 the oldest go."""
        kept = entries[-MOST_MEMORY:]
        if not kept:
            return
        key = self._keys.memory(workspace_id)
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=True) as pipe:
                pipe.rpush(key, *kept)
                pipe.ltrim(key, -MOST_MEMORY, -1)
                pipe.expire(key, MEMORY_TTL)
                await pipe.execute()

    async def recent(self, workspace_id: str, limit: int = 50) -> list[str]:
        """The newest `limit` entries, oldest of them first."""
        if limit <= 0:
            return []
        with self._client.guard():
            key = self._keys.memory(workspace_id)
            found: Any = await self._client.redis.lrange(key, -limit, -1)
        return [entry.decode() for entry in found]

    async def search(self, workspace_id: str, query: str, limit: int = 10) -> list[str]:
        """Entries that have words of the query, whole and in any case: those with most of
        its words first, of equal ones the newer first."""
        words = _words(query)
        if limit <= 0 or not words:
            return []
        entries = await self.recent(workspace_id, MOST_MEMORY)
        return await asyncio.to_thread(_best, entries, words, limit)


def _best(entries: list[str], words: set[str], limit: int) -> list[str]:
    newest_first = reversed(entries)
    scored = [(len(words & _words(" ".join(_texts(entry)))), entry) for entry in newest_first]
    hits = [pair for pair in scored if pair[0]]
    hits.sort(key=lambda pair: -pair[0])
    return [entry for _, entry in hits[:limit]]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _texts(entry: str) -> Iterator[str]:
    """The text in a JSON entry, without the names of its fields."""
    try:
        waiting: list[Any] = [json.loads(entry)]
    except (ValueError, RecursionError):
        waiting = [entry]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
