"""What the workers learn from each other about models: which failures count, and for how long.

A model that failed rests under its key (`HealthStore`); afterwards one call in the cluster, the
probe, finds out whether it works again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TypeVar

import structlog

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ErrorKind,
    PriceUnknown,
    ProviderError,
    ProviderNotFound,
    StoreError,
)
from sigil.providers.chain.health_store import Admission, Cooldown, HealthStore
from sigil.waiting import end

AUTH_STEPS_S = (600.0, 3600.0)
BILLING_STEPS_S = (3600.0, 86_400.0)
SHORTEST_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S = 1.0, 3600.0
RENEW_S = 10.0

_STEPS = {ErrorKind.AUTH: AUTH_STEPS_S, ErrorKind.BILLING: BILLING_STEPS_S}
# The request's own: any other one would have been answered.
_ANSWERS = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED, ErrorKind.CONTEXT_TOO_LONG})
# Sigil's own: the vendor was not asked.
_OWN = (AllProvidersUnavailable, BudgetExceeded, PriceUnknown, ProviderNotFound)

T = TypeVar("T")

log = structlog.get_logger(__name__)


def fingerprint(provider: str, key: str) -> str:
    """The name of a key where the key itself must not be: 12 hex digits; empty for no key.

    It belongs to the provider, so that it does not tell who else is given the same key.
    """
    key = key.strip()
    if not key:
        return ""
    return hashlib.sha256(f"{provider}\0{key}".encode()).hexdigest()[:12]


class Health:
    """The policy over a `HealthStore`. `steps` are seconds: how long a model rests after its
    first failure in a row, the second, and so on; the last one for all further.

    Keys are fingerprints, empty for a provider without a key. `admit` and `look` raise
    `StoreError`. What a call reports is kept if the store answers: an answer that a person
    waits for does not fail over it, and a probe that was not heard of is given to the next.
    """

    def __init__(
        self,
        store: HealthStore,
        steps: Sequence[float] = (30, 60, 300),
        *,
        renew_every: float = RENEW_S,
    ) -> None:
        self._store = store
        self._steps = tuple(steps)
        self._renew_every = renew_every

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None = None
    ) -> Admission | Cooldown:
        """A key to call the model with, the session's own if it has one; else the cooldown that
        ends first. Every admission must be reported or released."""
        return await self._store.admit(provider, model, keys, session, secrets.token_hex(8))

    async def look(self, provider: str, model: str, keys: Sequence[str]) -> Cooldown | None:
        """Why `admit` would refuse now; None if it would not. Changes nothing."""
        return await self._store.look(provider, model, keys)

    async def report(self, admission: Admission, error: ProviderError | None) -> Cooldown | None:
        """How the call ended; `error` is None if it was answered. Says how the model rests now,
        if it does.

        Without a failure that counts this costs nothing, unless the call was the probe.
        """
        if isinstance(error, _OWN):
            await self.release(admission)
        elif error is None or error.kind in _ANSWERS or not error.counts:
            if admission.probe:
                await self._kept(self._store.answered(admission), admission)
        else:
            steps = _STEPS.get(error.kind, self._steps)
            rest = _clamped(error.retry_after)
            failed = self._store.failed(admission, error.kind.value, steps, rest)
            return await self._kept(failed, admission)
        return None

    async def release(self, admission: Admission) -> None:
        """The call ended without a result, as when it is cancelled: another one may probe."""
        if admission.probe:
            await self._kept(self._store.release(admission), admission)

    @contextlib.asynccontextmanager
    async def probing(self, admission: Admission) -> AsyncIterator[None]:
        """Keeps a probe for as long as its call takes; does nothing for other calls."""
        if not admission.probe:
            yield
            return
        keeper = asyncio.create_task(self._keep(admission))
        try:
            yield
        finally:
            await end([keeper])

    async def _keep(self, admission: Admission) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            await self._kept(self._store.renew(admission), admission)

    async def _kept(self, written: Awaitable[T], admission: Admission) -> T | None:
        try:
            return await written
        except StoreError as error:
            name = f"{admission.provider}/{admission.model}"
            log.warning("what was learned of a model is not kept", model=name, error=str(error))
            return None


def _clamped(retry_after: float | None) -> float | None:
    if retry_after is None:
        return None
    return max(SHORTEST_RETRY_AFTER_S, min(LONGEST_RETRY_AFTER_S, retry_after))
