"""The record of one call of one model."""

from __future__ import annotations

from dataclasses import dataclass

from sigil.errors import ProviderError
from sigil.messages.conversation import Usage


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What is kept of an attempt: one call of `model` (a full name) with one key.

    `seconds` is how long it took, `cost` is in micro-dollars, `key` is a fingerprint, and `said`
    counts the bytes of the answer that arrived. An attempt that was neither answered nor has an
    error was cancelled. If `counted` is false, the vendor did not report its usage, and `usage`
    misses what was used.
    """

    model: str
    answered: bool
    seconds: float
    usage: Usage
    error: ProviderError | None = None
    cost: int = 0
    key: str = ""
    said: int = 0
    counted: bool = True
