"""What a workspace remembers across sessions: texts that are found by words, and vectors.

Nothing in Sigil writes here yet. Both stores are open to whoever builds on an open workspace
(`workspace.memory`, `workspace.vectors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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
