"""A chain of models that is itself a provider: the agent sees one model.

What `FailoverProvider.chat` does for one turn, step by step:

    take the next candidate                what can it do, is it there, which of its keys may be
      │    ▲                               used? (health, shared by all workers)
      │    └──── none left: ERROR
      ▼
    one attempt ───────────────────────▶   its text, tool calls and usage go straight to the
      │  reserve money                     reader. RESTART comes first if an earlier attempt had
      │  call the model, stream            already spoken: what was read of it is void
      │  settle with what it cost
      ▼
    conclude ─┬─ answered                  the end
              ├─ again                     the same candidate once more, with another key or after
              │                            a moment
              ├─ next                      the next candidate
              └─ end                       ERROR: no other model would do better

- **Streams**: an answer counts only with its DONE. Nothing of it is held back meanwhile, so an
  attempt that breaks off must be taken back by RESTART, which a reader has to understand.
- **Money**: an attempt reserves its worst case before the call and settles it afterwards, whether
  it succeeded, failed or was cancelled. So a chain of three attempts is charged for three.
- **Health**: a candidate is called only under a grant. Each grant is reported (answered, or a
  failure that lets the model rest for all workers) or released (no result), unless the same
  candidate is called again at once under the same grant.

What follows a failure depends on its class alone (`sigil.errors.failures.POLICY`) and is decided in
one place, `policy.decide`. Control never goes down: an attempt yields events and ends in one frozen
result, from which everything else is decided here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from sigil.errors import AllProvidersUnavailable, ErrorKind, ProviderError, StoreError
from sigil.errors.failures import POLICY, Next
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo
from sigil.providers.chain.adapt import adapt
from sigil.providers.chain.attempt import Attempt, run_to_end
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.health import Health, UnsharedHealth
from sigil.providers.chain.health_store import Cooldown, KeyGrant
from sigil.providers.chain.meter import FreeMeter, Meter
from sigil.providers.chain.policy import Move, Verdict, decide
from sigil.providers.chain.record import AttemptRecord


@dataclass(frozen=True, slots=True)
class _Step:
    """The next attempt: which candidate, with which key, and what it is asked. `number` counts
    the attempts with one candidate from 1."""

    candidate: Candidate
    info: ModelInfo
    request: ChatRequest
    grant: KeyGrant
    number: int = 1


@dataclass(slots=True)
class _Run:
    """Where one `chat` stands. `failure` is the last attempt's. `longest` is the largest context,
    in tokens, that was too short for the request, and `too_long` the error that said so."""

    request: ChatRequest
    waiting: deque[Candidate]
    speaking: bool = False
    failure: ProviderError | None = None
    longest: int = 0
    too_long: ProviderError | None = None


class FailoverProvider:
    """Tries its candidates in order until one answers.

    A candidate that failed is not tried again in the life of the chain, which is one turn.
    `causes` says why candidates were passed over before. `model_call` and `idle_stream` are
    seconds: for a whole call, and for a silence in its stream. `health` is asked for a key before
    each call, `meter` for the money; without them, every call is granted and free. `attempts`
    records every call, in order.
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
    ) -> None:
        self._candidates = list({candidate.name: candidate for candidate in candidates}.values())
        self._model_call = model_call
        self._idle_stream = idle_stream
        self._health = health or UnsharedHealth()
        self._meter = meter or FreeMeter()
        self._causes = dict(causes or {})
        self._given_up: set[str] = set()
        self._kinds: dict[str, ErrorKind] = {}
        self._retry_at: float | None = None  # by the loop's clock
        self.attempts: list[AttemptRecord] = []

    async def available(self) -> bool:
        """Whether any candidate is left whose provider can be called."""
        for candidate in self._list_candidates():
            if await candidate.explain_absence() is None:
                return True
        return False

    async def list_models(self) -> list[ModelInfo]:
        """The candidates' models under their full names, in order."""
        return [replace(await c.find_info(), id=c.name) for c in self._candidates]

    async def choose(self) -> Candidate:
        """Returns the candidate that `chat` would try first, without calling it. Raises
        `AllProvidersUnavailable` naming each candidate's cause, and `StoreError`."""
        for candidate in self._list_candidates():
            obstacle = await self._find_obstacle(candidate)
            if obstacle is None:
                return candidate
            self._causes[candidate.name] = obstacle
        raise AllProvidersUnavailable(self._causes)

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Yields the first answer that succeeds. Each candidate is asked under its own name and
        for what it can take, whatever `request` says.

        If no candidate is left, the ERROR is `AllProvidersUnavailable`, or that of the model with
        the largest context if the request was too long for it. Raises `StoreError` if nobody can
        say which models rest or what may be spent.
        """
        run = _Run(request, deque(self._list_candidates()))
        step = await self._take_candidate(run)
        while step is not None:
            attempt = self._make_attempt(step, run)
            events = attempt.events(step.request, step.info)
            if step.grant.probe:
                events = self._health.watch_probe(step.grant, events)
            try:
                async with aclosing(events):
                    async for event in events:
                        yield event
            finally:
                # Also if the turn is cancelled: its money is counted and its grant given back.
                verdict = await run_to_end(self._conclude(step, attempt, run))
            if verdict.move is Move.END:
                if run.failure is not None:
                    yield ChatEvent(EventType.ERROR, error=run.failure)
                return
            step = await self._repeat(step, verdict) or await self._take_candidate(run)
        yield ChatEvent(EventType.ERROR, error=run.too_long or self._describe_end())

    def _list_candidates(self) -> list[Candidate]:
        return [c for c in self._candidates if c.name not in self._given_up]

    # ------------------------------------------------------------ before an attempt

    async def _take_candidate(self, run: _Run) -> _Step | None:
        """The first attempt with the next candidate that may be called; None if none is left."""
        while run.waiting:
            candidate = run.waiting.popleft()
            info = await candidate.find_info()
            obstacle = _explain_too_small(info, run) or await candidate.explain_absence()
            if obstacle is not None:
                self._causes[candidate.name] = obstacle
                continue
            request = adapt(replace(run.request, model=candidate.model), info)
            grant = await self._obtain_grant(candidate, request.session)
            if grant is not None:
                return _Step(candidate, info, request, grant)
        return None

    async def _repeat(self, step: _Step, verdict: Verdict) -> _Step | None:
        """The next attempt with the same candidate, when its time has come; None if it has none
        or may not be called any more."""
        if verdict.move is not Move.AGAIN:
            return None
        try:
            await asyncio.sleep(verdict.pause)
        except asyncio.CancelledError:
            if verdict.keeps_grant:
                await self._health.release(step.grant)
            raise
        grant: KeyGrant | None = step.grant
        if not verdict.keeps_grant:
            grant = await self._obtain_grant(step.candidate, step.request.session)
        return None if grant is None else replace(step, grant=grant, number=step.number + 1)

    async def _obtain_grant(self, candidate: Candidate, session: str | None) -> KeyGrant | None:
        """Asks for a key that may be used now; None if all rest, and then that is a cause."""
        grant = await self._health.admit(
            candidate.provider_name, candidate.model, list(candidate.instances), session
        )
        if isinstance(grant, KeyGrant):
            return grant
        self._causes.setdefault(candidate.name, str(grant))
        self._note_cooldown(candidate, grant)
        return None

    def _make_attempt(self, step: _Step, run: _Run) -> Attempt:
        return Attempt(
            step.candidate.name,
            step.candidate.instances[step.grant.key],
            step.grant.key,
            model_call=self._model_call,
            idle_stream=self._idle_stream,
            meter=self._meter,
            speaking=run.speaking,
        )

    # ------------------------------------------------------------ after an attempt

    async def _conclude(self, step: _Step, attempt: Attempt, run: _Run) -> Verdict:
        """Settles the attempt, decides what follows, and tells the other workers."""
        result = await attempt.finish()
        run.speaking, run.failure = result.speaking, result.error
        if result.record is not None:
            self.attempts.append(result.record)
        verdict = decide(result, number=step.number, keys=len(step.candidate.instances))
        if verdict.last_hope_only and not await self._is_last_hope(run.waiting):
            verdict = Verdict(Move.NEXT)
        if result.error is not None:
            self._note_failure(step, result.error, run)
        elif not result.answered:
            await self._health.release(step.grant)
            return verdict
        if not verdict.keeps_grant:
            cooldown = await self._health.report(step.grant, result.error)
            self._note_cooldown(step.candidate, cooldown)
        return verdict

    def _note_failure(self, step: _Step, error: ProviderError, run: _Run) -> None:
        self._given_up.add(step.candidate.name)
        self._causes[step.candidate.name] = f"{error.kind}: {error}"
        self._kinds[step.candidate.name] = error.kind
        if POLICY[error.kind].next is Next.LARGER:
            run.too_long, run.longest = error, max(run.longest, step.info.max_context_tokens)

    async def _is_last_hope(self, others: Iterable[Candidate]) -> bool:
        """Whether none of the other candidates could be called now."""
        for other in others:
            try:
                obstacle = await self._find_obstacle(other)
            except StoreError:
                obstacle = None
            if obstacle is None:
                return False
        return True

    async def _find_obstacle(self, candidate: Candidate) -> str | None:
        """Why the candidate could not be called now, if so. Changes nothing."""
        absence = await candidate.explain_absence()
        if absence is not None:
            return absence
        cooldown = await self._health.find_cooldown(
            candidate.provider_name, candidate.model, list(candidate.instances)
        )
        return None if cooldown is None else str(cooldown)

    def _note_cooldown(self, candidate: Candidate, cooldown: Cooldown | None) -> None:
        """Remembers why a model rests, and when the first that is waited for may be called."""
        if cooldown is None or cooldown.kind is None:
            return
        self._kinds.setdefault(candidate.name, cooldown.kind)
        if POLICY[cooldown.kind].waits:
            at = asyncio.get_running_loop().time() + cooldown.seconds
            self._retry_at = at if self._retry_at is None else min(self._retry_at, at)

    def _describe_end(self) -> AllProvidersUnavailable:
        now, at = asyncio.get_running_loop().time(), self._retry_at
        retry_in = None if at is None else max(0.0, at - now)
        return AllProvidersUnavailable(self._causes, kinds=self._kinds, retry_in=retry_in)


def _explain_too_small(info: ModelInfo, run: _Run) -> str | None:
    """Why the model can be skipped after a context overflow. Models that nobody knows anything
    about are never skipped: their context may be larger than assumed."""
    if not run.longest or info.max_context_tokens > run.longest or info == ModelInfo(info.id):
        return None
    return "its context is no larger"
