"""The record of one call of one model."""

from __future__ import annotations

from dataclasses import dataclass

from sigil.conversation import Usage
from sigil.errors import ErrorKind, ProviderError


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One call of one model, `seconds` long, at `cost` micro-dollars, with the key of this
    fingerprint. Not answered and no error: it was cancelled. Not `counted`: the vendor did not
    say what was used, which is then not in `usage`; `said` bytes of an answer came."""

    model: str
    answered: bool
    seconds: float
    usage: Usage
    error: ProviderError | None = None
    cost: int = 0
    key: str = ""
    said: int = 0
    counted: bool = True

    @property
    def error_kind(self) -> ErrorKind | None:
        """The class of the failure, if it failed."""
        return None if self.error is None else self.error.kind
