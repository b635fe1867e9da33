"""What all workers know about (provider, key, model)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Admission:
    """A model may be called with this key. A `probe` is the one call in the cluster that finds
    out whether it works again; `token` is its fencing token."""

    provider: str
    model: str
    key: str
    probe: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A model rests under one key, or under all keys that were asked for.

    `reason` is the class of the failure; `seconds` are what is left; `failures` counts those in
    a row; `probing` says that the time is over and somebody is finding out.
    """

    provider: str
    model: str
    key: str
    reason: str
    seconds: float
    failures: int = 1
    probing: bool = False


class HealthStore(Protocol):
    """What all workers learned about (provider, key, model). Keys are named by fingerprints."""

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None, token: str
    ) -> Admission | Cooldown:
        """Chooses a key that does not rest: that of the session if it has one, else the next in
        turn. If all rest, the cooldown that ends first. `token` names a probe, if it is one."""
        ...

    async def look(self, provider: str, model: str, keys: Sequence[str]) -> Cooldown | None:
        """As `admit`, without choosing, counting or probing; None: it may be called."""
        ...

    async def failed(
        self,
        admission: Admission,
        reason: str,
        steps: Sequence[float],
        rest: float | None = None,
    ) -> Cooldown:
        """Lets it rest for the step (seconds) of this failure in a row, or for `rest` instead.
        A row is of failures with the same steps. Those of calls that ran side by side count
        once. `reason` is one word."""
        ...

    async def answered(self, admission: Admission) -> None:
        """It works: a probe ends the cooldown and the count of failures. No other call has
        anything to end, and for those nothing is asked of the backend."""
        ...

    async def release(self, admission: Admission) -> None:
        """Gives a probe back without a result: the next one may try."""
        ...

    async def renew(self, admission: Admission) -> None:
        """Keeps a probe that takes long."""
        ...

    async def resting(self) -> list[Cooldown]:
        """Everything that rests, or waits for a probe."""
        ...

    async def reset(self, provider: str | None = None, model: str | None = None) -> int:
        """Forgets cooldowns: all, a provider's, or a model's. Says how many."""
        ...
