"""What all workers learned about the models: the seam to the store.

A failure of one worker counts for all. The unit is (provider, model, key), since limits, bills and
credentials belong to a key:

    works ──a call fails──▶ rests ──time is over──▶ one call probes ──answered──▶ works
                              ▲                            │
                              └── it fails: a longer rest ─┘

While a model rests, nobody calls it. When the time is over, exactly one call in the whole cluster
is let through, the probe; everyone else goes on to the next model of their chain until it has
ended. So a vendor that has just recovered is not run over by all workers at once.

`sigil/stores/redis/health.py` implements it; `Health` decides what is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sigil.errors.failures import ErrorKind


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """Permission to call a model once with this key.

    A `probe` is the one call in the cluster that finds out whether a model works again. `token`
    is its fencing token: a probe that took too long was given to another worker, and what the
    late one still reports under its old token is ignored.
    """

    provider: str
    model: str
    key: str
    probe: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A model rests under one key, or under all keys that were asked about.

    `reason` is the class of the failure, `seconds` is what is left, and `failures` counts those
    in a row. `probing` means that the time is over and a probe is under way.
    """

    provider: str
    model: str
    key: str
    reason: str
    seconds: float
    failures: int = 1
    probing: bool = False

    @property
    def kind(self) -> ErrorKind | None:
        """The reason as a class; None for one that this version does not know."""
        return next((kind for kind in ErrorKind if kind == self.reason), None)

    def __str__(self) -> str:
        left = "being tried" if self.probing else f"{self.seconds:.0f} s left"
        return f"resting after {self.reason}, {left}"


class HealthStore(Protocol):
    """What all workers learned about (provider, model, key). Keys are named by fingerprints."""

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None, token: str
    ) -> KeyGrant | Cooldown:
        """Chooses a key that does not rest: the session's own if it has one, else the next in
        turn. If all keys rest, gives the cooldown that ends first. `token` becomes the fencing
        token if the call is a probe."""
        ...

    async def find_cooldown(
        self, provider: str, model: str, keys: Sequence[str]
    ) -> Cooldown | None:
        """Answers what `admit` would, but chooses, counts and probes nothing. None means that
        the model may be called."""
        ...

    async def record_failure(
        self, grant: KeyGrant, reason: str, steps: Sequence[float], rest: float | None = None
    ) -> Cooldown:
        """Lets the model rest for `rest` seconds, or else for the step (seconds) of this failure
        in a row. Failures are in a row if they have the same steps, and failures of calls that
        ran side by side count once. `reason` is one word."""
        ...

    async def record_answer(self, grant: KeyGrant) -> None:
        """Ends the cooldown and the count of failures if the call was the probe. Any other call
        has nothing to end, and for it the backend is not asked."""
        ...

    async def release(self, grant: KeyGrant) -> None:
        """Gives a probe back without a result, so that the next call may probe."""
        ...

    async def renew(self, grant: KeyGrant) -> None:
        """Keeps a probe whose call takes long."""
        ...

    async def begin_episode(self, provider: str, key: str, reason: str) -> str:
        """Names the episode in which a key keeps failing for this reason: the same name until a
        model has answered under the key again, but for two days at most."""
        ...

    async def list_cooldowns(self) -> list[Cooldown]:
        """Everything that rests or waits for a probe."""
        ...

    async def reset(self, provider: str | None = None, model: str | None = None) -> int:
        """Forgets cooldowns: all, those of a provider, or those of a model. Says how many."""
        ...

    async def keep_only(self, keys: Mapping[str, Collection[str]]) -> int:
        """Forgets cooldowns and episodes of all other keys; `keys` has those of each provider. A
        key that was replaced is never called again, so nothing else would end them. Says how many
        cooldowns were forgotten."""
        ...
