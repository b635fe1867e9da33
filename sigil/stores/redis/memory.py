"""The memory of workspaces in Redis: one capped list of JSON entries each."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from sigil.stores.redis.bounds import MEMORY_TTL, MOST_MEMORIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sigil.stores.redis.client import Client

_WORD = re.compile(r"\w+")


class RedisMemory:
    """A `MemoryStore`. If a reply of Redis is lost, entries may be stored twice."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def add(self, workspace_id: str, entries: Sequence[str]) -> None:
        """Appends entries, and drops the oldest ones beyond 1,000."""
        kept = entries[-MOST_MEMORIES:]
        if not kept:
            return
        key = self._keys.memory(workspace_id)
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=True) as pipe:
                pipe.rpush(key, *kept)
                pipe.ltrim(key, -MOST_MEMORIES, -1)
                pipe.expire(key, MEMORY_TTL)
                await pipe.execute()

    async def recent(self, workspace_id: str, limit: int = 50) -> list[str]:
        """The newest `limit` entries, the oldest of them first."""
        if limit <= 0:
            return []
        with self._client.guard():
            key = self._keys.memory(workspace_id)
            found: Any = await self._client.redis.lrange(key, -limit, -1)
        return [entry.decode() for entry in found]

    async def search(self, workspace_id: str, query: str, limit: int = 10) -> list[str]:
        """Entries that contain whole words of the query, in any case. Entries with more of its
        words come first, and among equals the newer ones."""
        words = _split_words(query)
        if limit <= 0 or not words:
            return []
        entries = await self.recent(workspace_id, MOST_MEMORIES)
        return await asyncio.to_thread(_rank_entries, entries, words, limit)


def _rank_entries(entries: list[str], words: set[str], limit: int) -> list[str]:
    newest_first = reversed(entries)
    scored = [
        (len(words & _split_words(" ".join(_list_texts(entry)))), entry) for entry in newest_first
    ]
    hits = [(score, entry) for score, entry in scored if score]
    hits.sort(key=lambda hit: -hit[0])  # a stable sort: equal scores stay newest first
    return [entry for _, entry in hits[:limit]]


def _split_words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _list_texts(entry: str) -> Iterator[str]:
    """All texts inside a JSON entry, without the names of its fields."""
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
