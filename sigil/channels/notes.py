"""What a channel keeps between two messages: small texts, each for a limited time."""

from __future__ import annotations

from typing import Protocol

LONGEST_NOTE = 16 * 1024
"""Bytes of UTF-8 that a note may have."""


class NoteStore(Protocol):
    """The notes of all entries. Every method may raise `StoreError`."""

    async def get(self, entry: str, key: str) -> str | None:
        """The note of a configured entry; None if there is none, or if its time is over."""
        ...

    async def put(self, entry: str, key: str, text: str, *, seconds: int) -> None:
        """Keeps a note from now on for so long; one under the same key is replaced."""
        ...
