"""What a workspace remembers across sessions: texts that are found by words, and vectors.

Nothing in Sigil writes here yet. Both stores are open to whoever builds on an open workspace
(`workspace.memory`, `workspace.vectors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sigil.sessions import SessionRecord, SessionStore


class MemoryStore(Protocol):
    """The newest 1,000 entries of each workspace. An entry is a text, often JSON."""

    async def add(self, workspace_id: str, entries: Sequence[str]) -> None:
        """Appends entries; the oldest ones beyond 1,000 go."""
        ...

    async def recent(self, workspace_id: str, limit: int = 50) -> list[str]:
        """The newest `limit` entries, the oldest of them first."""
        ...

    async def search(self, workspace_id: str, query: str, limit: int = 10) -> list[str]:
        """Entries that contain words of the query, the best match first."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """A vector found by cosine similarity; `score` is in [-1, 1]."""

    id: str
    score: float
    payload: str


class VectorStore(Protocol):
    """Vectors of one length per workspace, bounded in number and length."""

    async def put(
        self, workspace_id: str, id: str, vector: Sequence[float], payload: str = ""
    ) -> None:
        """Adds or replaces a vector. Raises `EffectRejected` if it is over a bound or not as long
        as the others."""
        ...

    async def search(
        self, workspace_id: str, vector: Sequence[float], limit: int = 10
    ) -> list[Match]:
        """The nearest vectors, nearest first."""
        ...

    async def delete(self, workspace_id: str, id: str) -> None:
        """Removes a vector. Does nothing if the id is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class ScopedSessions:
    """The sessions of one scope; `name` says which."""

    _store: SessionStore
    _scope: str

    async def load(self, name: str) -> SessionRecord:
        """The current session with its history; a fresh one if there is none yet."""
        return await self._store.load(f"{self._scope}/{name}")

    async def append(self, name: str, messages: Sequence[str], *, keep: int) -> None:
        """Appends JSON messages, trimmed to the last `keep`; not for turns."""
        await self._store.append(f"{self._scope}/{name}", messages, keep=keep)


@dataclass(frozen=True, slots=True)
class ScopedMemory:
    """The memory of one scope; see `MemoryStore`."""

    _store: MemoryStore
    _scope: str

    async def add(self, entries: Sequence[str]) -> None:
        """Appends JSON entries; the oldest go beyond the cap."""
        await self._store.add(self._scope, entries)

    async def recent(self, limit: int = 50) -> list[str]:
        """The newest entries, oldest of them first."""
        return await self._store.recent(self._scope, limit)

    async def search(self, query: str, limit: int = 10) -> list[str]:
        """Entries that have words of the query, the best first."""
        return await self._store.search(self._scope, query, limit)


@dataclass(frozen=True, slots=True)
class ScopedVectors:
    """The vectors of one scope; see `VectorStore`."""

    _store: VectorStore
    _scope: str

    async def put(self, id: str, vector: Sequence[float], payload: str = "") -> None:
        """Adds or replaces a vector. Raises `EffectRejected` for one over a bound."""
        await self._store.put(self._scope, id, vector, payload)

    async def search(self, vector: Sequence[float], limit: int = 10) -> list[Match]:
        """The nearest vectors by cosine, nearest first."""
        return await self._store.search(self._scope, vector, limit)

    async def delete(self, id: str) -> None:
        """Removes a vector, if it is there."""
        await self._store.delete(self._scope, id)
