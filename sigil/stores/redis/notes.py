"""What channels keep between two messages: one key for each note."""

from __future__ import annotations

from sigil.stores.redis.client import Client


class RedisNotes:
    """A `NoteStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, entry: str, key: str) -> str | None:
        """See `NoteStore`."""
        with self._client.guard():
            found = await self._client.redis.get(self._client.keys.note(entry, key))
        return None if found is None else found.decode()

    async def put(self, entry: str, key: str, text: str, *, seconds: int) -> None:
        """See `NoteStore`."""
        with self._client.guard():
            await self._client.redis.set(self._client.keys.note(entry, key), text, ex=seconds)
