"""A chain of models that is itself a provider: the agent sees one model.

Candidates are tried in order, each at most once in the life of the chain, which is one turn.
For each: what can it do, may it be called (health, shared by all workers), can it be paid for
(budgets, shared likewise), the call itself, what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sigil.errors import AllProvidersUnavailable, StoreError
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo, Provider, info_of
from sigil.providers.chain.attempt import QUICK_TRIES, Attempt, Progress, Terms
from sigil.providers.chain.call import described
from sigil.providers.chain.health_store import Admission, Cooldown
from sigil.providers.chain.meter import Meter
from sigil.providers.chain.record import AttemptRecord

if TYPE_CHECKING:
    from sigil.providers.chain.health import Health

# Seconds for a provider to say what it knows itself; one that asks somebody else is not waited for.
_LOCAL_S = 5.0

Adapt = Callable[[ChatRequest, ModelInfo], ChatRequest]
"""Makes of a request what a model can take."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a chain; `name` is its full `provider/model`.

    `instances` are those of the provider by the fingerprint of their key, at least one;
    `describe` may correct what the provider says that the model can do.
    """

    name: str
    instances: Mapping[str, Provider]
    describe: Callable[[ModelInfo], ModelInfo] | None = None

    @property
    def model(self) -> str:
        """The name as the provider knows it."""
        return self.name.partition("/")[2]

    @property
    def provider_name(self) -> str:
        """The name under which the provider is registered."""
        return self.name.partition("/")[0]

    @property
    def provider(self) -> Provider:
        """The provider with its first key."""
        return next(iter(self.instances.values()))

    async def info(self) -> ModelInfo:
        """What the model can do; little is expected of one whose provider cannot say."""
        info: object = None
        with suppress(Exception):
            async with asyncio.timeout(_LOCAL_S):
                info = await info_of(self.provider, self.model)
        known = info if isinstance(info, ModelInfo) else ModelInfo(self.model)
        return known if self.describe is None else self.describe(known)


async def unavailability(provider: Provider) -> str | None:
    """Why the provider cannot be called now, or None when it can."""
    try:
        async with asyncio.timeout(_LOCAL_S):
            return None if await provider.available() else "not available"
    except Exception as error:  # noqa: BLE001  # a provider that breaks is one that is not there
        return f"its availability check failed ({described(error)})"


def resting(cooldown: Cooldown) -> str:
    """A cooldown as a cause, in words."""
    left = "being tried" if cooldown.probing else f"{cooldown.seconds:.0f} s left"
    return f"resting after {cooldown.reason}, {left}"


class FailoverProvider:
    """Tries its candidates until one answers.

    An error, a stream that ends without DONE, `idle_stream` seconds of silence or more than
    `model_call` seconds in all move on to the next candidate; an invalid request, a filtered
    answer and a used-up budget do not, and what is too long for a model is only tried on one
    with a larger context. If the failed one had spoken, RESTART comes first. A candidate that
    failed is not tried again by later calls of the same chain. `causes` are those of candidates
    that were passed over before. `health` and `meter`, where given, are asked before each call
    and told afterwards.
    """

    name = "failover"

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        model_call: float = 300.0,
        idle_stream: float = 90.0,
        causes: Mapping[str, str] | None = None,
        health: Health | None = None,
        meter: Meter | None = None,
        adapt: Adapt | None = None,
    ) -> None:
        self._candidates = list({candidate.name: candidate for candidate in candidates}.values())
        self._causes = dict(causes or {})
        self._adapt = adapt
        self._given_up: set[str] = set()
        self._retry_in: float | None = None
        self.attempts: list[AttemptRecord] = []
        self._terms = Terms(model_call, idle_stream, health, meter, self.attempts.append)

    async def available(self) -> bool:
        """Whether any candidate is left that can be called."""
        for candidate in self._remaining():
            if await unavailability(candidate.provider) is None:
                return True
        return False

    async def list_models(self) -> list[ModelInfo]:
        """The candidates' models under their full names, in order."""
        return [replace(await c.info(), id=c.name) for c in self._candidates]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """The first answer that succeeds; `request.model` gives way to each candidate's own.

        The ERROR of a chain of which nothing is left is `AllProvidersUnavailable`, or that of
        the model with the largest context if the request is too long for all.
        """
        progress = Progress()
        remaining = self._remaining()
        for at, candidate in enumerate(remaining):
            others = remaining[at + 1 :]
            async with aclosing(self._tried(candidate, request, progress, others)) as events:
                async for event in events:
                    yield event
            if progress.answered:
                return
            if progress.final is not None:
                yield ChatEvent(EventType.ERROR, error=progress.final)
                return
        nothing_left = AllProvidersUnavailable(self._causes, retry_in=self._retry_in)
        yield ChatEvent(EventType.ERROR, error=progress.too_long or nothing_left)

    def _remaining(self) -> list[Candidate]:
        return [c for c in self._candidates if c.name not in self._given_up]

    async def _tried(
        self,
        candidate: Candidate,
        request: ChatRequest,
        progress: Progress,
        others: Sequence[Candidate],
    ) -> AsyncGenerator[ChatEvent, None]:
        """The events of one candidate, which may be called more than once: in quick tries, with
        another key, or after the wait that the vendor asked for."""
        info = await candidate.info()
        cause = _too_small(info, progress) or await unavailability(candidate.provider)
        if cause is not None:
            self._causes[candidate.name] = cause
            return
        request = replace(request, model=candidate.model)
        if self._adapt is not None:
            request = self._adapt(request, info)
        admission: Admission | None = None
        for number in range(1, QUICK_TRIES + len(candidate.instances)):
            admission = admission or await self._admitted(candidate, request.session)
            if admission is None:
                return
            trial = Attempt(
                self._terms,
                candidate.name,
                candidate.instances,
                admission,
                number=number,
                last=partial(self._is_last, others),
            )
            async with aclosing(trial.events(request, info, progress)) as events:
                async for event in events:
                    yield event
            if trial.error is None:
                return
            self._given_up.add(candidate.name)
            self._causes[candidate.name] = f"{trial.error.kind}: {trial.error}"
            self._note(trial.rests)
            if progress.final is not None or trial.pause is None:
                return
            await trial.rest()
            admission = admission if trial.kept else None

    async def _is_last(self, others: Sequence[Candidate]) -> bool:
        """Whether none of the others could be called now."""
        for other in others:
            if await unavailability(other.provider) is None and not await self._rests(other):
                return False
        return True

    async def _rests(self, candidate: Candidate) -> bool:
        health = self._terms.health
        if health is None:
            return False
        keys = list(candidate.instances)
        with suppress(StoreError):
            return await health.look(candidate.provider_name, candidate.model, keys) is not None
        return False

    async def _admitted(self, candidate: Candidate, session: str | None) -> Admission | None:
        """A key that may be used now, or None with the cause noted."""
        provider, model, keys = candidate.provider_name, candidate.model, candidate.instances
        health = self._terms.health
        if health is None:
            return Admission(provider, model, next(iter(keys)))
        admission = await health.admit(provider, model, list(keys), session)
        if isinstance(admission, Admission):
            return admission
        self._causes.setdefault(candidate.name, resting(admission))
        self._note(admission)
        return None

    def _note(self, cooldown: Cooldown | None) -> None:
        """Remembers when the first of those that rest may be tried again."""
        if cooldown is not None:
            known = self._retry_in
            self._retry_in = cooldown.seconds if known is None else min(known, cooldown.seconds)


def _too_small(info: ModelInfo, progress: Progress) -> str | None:
    """Why a model need not be tried with what was too long for another. Of one that nobody
    knows it cannot be said."""
    unknown = info == ModelInfo(info.id)
    if not progress.longest or unknown or info.max_context_tokens > progress.longest:
        return None
    return "its context is no larger"
