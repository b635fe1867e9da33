"""Which outcomes of model calls the workers tell each other, and what follows from them.

`HealthStore` says how a model rests after a failure and is probed afterwards. This is the policy
over it: an error of the request says nothing about the model, a `Retry-After` replaces the usual
rest, and a store that is away costs nobody an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Collection,
    Mapping,
    Sequence,
)
from typing import TypeVar

import structlog

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    PriceUnknown,
    ProviderError,
    ProviderNotFound,
    StoreError,
)
from sigil.errors.failures import POLICY
from sigil.providers.base import SPEECH, ChatEvent
from sigil.providers.chain.health_store import Cooldown, HealthStore, KeyGrant
from sigil.waiting import end

SHORTEST_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S = 1.0, 3600.0
RENEW_S = 10.0
# A probe that has streamed this long counts as a success. Answers may take minutes, and the other
# workers need not wait for the end of one.
PROVEN_S = 3.0

# Errors of Sigil's own: the vendor was not asked, so they say nothing about it.
_OWN_ERRORS = (AllProvidersUnavailable, BudgetExceeded, PriceUnknown, ProviderNotFound)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Health:
    """The policy over a `HealthStore`: which outcomes of calls are reported, and how.

    `steps` (seconds) is how long a model rests after its first failure in a row, the second, and
    so on; the last one applies from then on. Keys are fingerprints, empty for a provider without
    a key. `admit` and `find_cooldown` raise `StoreError`. Reporting never does: an answer that a
    person waits for must not fail because Redis is away. A probe that could not be reported
    expires, and the next call probes.
    """

    def __init__(
        self,
        store: HealthStore,
        steps: Sequence[float] = (30, 60, 120),
        *,
        renew_every: float = RENEW_S,
    ) -> None:
        self._store = store
        self._steps = tuple(steps)
        self._renew_every = renew_every

    def with_steps(self, steps: Sequence[float]) -> Health:
        """The same policy with other steps."""
        return Health(self._store, steps, renew_every=self._renew_every)

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None = None
    ) -> KeyGrant | Cooldown:
        """Grants a key to call the model with, the session's own if it has one; else gives the
        cooldown that ends first. Every grant must be reported or released."""
        return await self._store.admit(provider, model, keys, session, secrets.token_hex(8))

    async def find_cooldown(
        self, provider: str, model: str, keys: Sequence[str]
    ) -> Cooldown | None:
        """Says why `admit` would refuse now; None if it would not. Changes nothing."""
        return await self._store.find_cooldown(provider, model, keys)

    async def keep_only(self, keys: Mapping[str, Collection[str]]) -> None:
        """Forgets what is known of all other keys; `keys` has those of each provider."""
        try:
            forgotten = await self._store.keep_only(keys)
        except StoreError as error:
            log.warning("what is known of replaced keys was not forgotten", reason=str(error))
            return
        if forgotten:
            log.info("what was known of replaced keys is forgotten", cooldowns=forgotten)

    async def report(self, grant: KeyGrant, error: ProviderError | None) -> Cooldown | None:
        """Reports how the call ended; `error` is None if it was answered. Returns how the model
        rests now, if it does.

        Only failures that count are written, and the end of a probe: an ordinary answer costs no
        command of Redis.
        """
        if isinstance(error, _OWN_ERRORS):
            await self.release(grant)
            return None
        steps = None if error is None else POLICY[error.kind].rest
        # An error of the request's own is an answer too: the model works.
        if error is None or steps is None or not error.counts:
            if grant.probe:
                await self._write(self._store.record_answer(grant), grant)
            return None
        rest = clamp_retry_after(error.retry_after)
        failure = self._store.record_failure(grant, error.kind.value, steps or self._steps, rest)
        return await self._write(failure, grant)

    async def release(self, grant: KeyGrant) -> None:
        """Gives a probe back that ended without a result, as when it is cancelled."""
        if grant.probe:
            await self._write(self._store.release(grant), grant)

    async def watch_probe(
        self, grant: KeyGrant, events: AsyncGenerator[ChatEvent, None]
    ) -> AsyncGenerator[ChatEvent, None]:
        """Passes a probe's events on, keeps the probe meanwhile, and reports its success as soon
        as it has spoken for `PROVEN_S`."""
        spoke_at: float | None = None
        proven = False
        async with self.keep_probe(grant), contextlib.aclosing(events):
            async for event in events:
                if not proven and event.type in SPEECH:
                    now = asyncio.get_running_loop().time()
                    spoke_at = spoke_at or now
                    proven = now - spoke_at >= PROVEN_S
                    if proven:
                        await self.report(grant, None)
                yield event

    @contextlib.asynccontextmanager
    async def keep_probe(self, grant: KeyGrant) -> AsyncIterator[None]:
        """Keeps a probe for as long as its call takes; does nothing for other calls."""
        if not grant.probe:
            yield
            return
        renewal = asyncio.create_task(self._renew_forever(grant))
        try:
            yield
        finally:
            await end([renewal])

    async def _renew_forever(self, grant: KeyGrant) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            await self._write(self._store.renew(grant), grant)

    async def _write(self, command: Awaitable[T], grant: KeyGrant) -> T | None:
        try:
            return await command
        except StoreError as error:
            name = f"{grant.provider}/{grant.model}"
            log.warning("the outcome of a model call was not shared", model=name, reason=str(error))
            return None


class UnsharedHealth(Health):
    """For chains without a store, as in tests: every model may be called, nothing is kept."""

    def __init__(self) -> None:
        pass

    def with_steps(self, steps: Sequence[float]) -> Health:
        """Nothing rests, whatever the steps."""
        return self

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None = None
    ) -> KeyGrant | Cooldown:
        """Grants the first key."""
        return KeyGrant(provider, model, keys[0])

    async def find_cooldown(
        self, provider: str, model: str, keys: Sequence[str]
    ) -> Cooldown | None:
        """Nothing rests."""
        return None

    async def keep_only(self, keys: Mapping[str, Collection[str]]) -> None:
        """Nothing is known."""

    async def report(self, grant: KeyGrant, error: ProviderError | None) -> Cooldown | None:
        """Keeps nothing."""
        return None


def clamp_retry_after(seconds: float | None) -> float | None:
    """Bounds what a vendor asks for: with a wrong clock, or by a hostile server, a model would
    otherwise rest for no time at all or for ever."""
    if seconds is None:
        return None
    return max(SHORTEST_RETRY_AFTER_S, min(LONGEST_RETRY_AFTER_S, seconds))
