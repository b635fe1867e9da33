"""The record of one call of one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sigil.errors import ProviderError
from sigil.messages.conversation import Usage


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What is kept of an attempt: one call of `model` (a full name) with one key.

    `seconds` is how long it took, `cost` is in micro-dollars (None if the price is unknown), `key`
    is a fingerprint, and `said` counts the bytes of the answer that arrived. An attempt that was
    neither answered nor has an error was cancelled. If `counted` is false, the vendor did not
    report its usage, and `usage` misses what was used. `cut_at` is the limit in output tokens at
    which the answer was cut off, if it was.
    """

    model: str
    answered: bool
    seconds: float
    usage: Usage
    error: ProviderError | None = None
    cost: int | None = 0
    key: str = ""
    said: int = 0
    counted: bool = True
    cut_at: int | None = None

    @property
    def broke_off(self) -> bool:
        """Whether it failed in mid-answer: people may have seen words that are void."""
        return self.error is not None and self.said > 0

    def describe(self) -> dict[str, Any]:
        """The record as JSON values, for the audit log; money in micro-dollars (None: unknown)."""
        record: dict[str, Any] = {
            "model": self.model,
            "answered": self.answered,
            "error": None if self.error is None else self.error.kind.value,
            "seconds": round(self.seconds, 3),
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "cost": self.cost,
        }
        if self.error is not None:
            error = self.error
            record |= {"why": str(error), "status": error.status, "request_id": error.request_id}
        return record
