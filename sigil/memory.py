"""What a workspace remembers: the last messages, and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class MemoryStore(Protocol):
    """The last 1,000 messages of a workspace, searchable by words."""

    async def add(self, workspace_id: str, entries: Sequence[str]) -> None: ...

    async def recent(self, workspace_id: str, limit: int = 50) -> list[str]: ...

    async def search(self, workspace_id: str, query: str, limit: int = 10) -> list[str]: ...


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
    ) -> None: ...

    async def search(
        self, workspace_id: str, vector: Sequence[float], limit: int = 10
    ) -> list[Match]: ...

    async def delete(self, workspace_id: str, id: str) -> None: ...
