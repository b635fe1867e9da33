"""The audit log: what was done, and by whom."""

from __future__ import annotations

from typing import Protocol


class AuditStore(Protocol):
    """What was done, by whom; the newest entries."""

    async def add(self, entry: str) -> None: ...

    async def recent(self, limit: int = 100) -> list[str]: ...
