"""A chain of models that is itself a provider: the agent sees one model.

Candidates are tried in order, each at most once in the life of the chain, which is one turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ErrorKind,
    ProviderError,
    SigilError,
)
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo, Provider, Usage

_SPEAKS = frozenset({EventType.TEXT_DELTA, EventType.TOOL_CALL})
# The same request would get the same answer from any other model.
_FINAL_KINDS = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a chain; `name` is its full `provider/model`."""

    name: str
    provider: Provider

    @property
    def model(self) -> str:
        """The name as the provider knows it."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one model, `seconds` long. Not answered and no error: it was cancelled."""

    model: str
    answered: bool
    seconds: float
    usage: Usage
    error: ProviderError | None = None

    @property
    def error_kind(self) -> ErrorKind | None:
        """The class of the failure, if it failed."""
        return None if self.error is None else self.error.kind


async def unavailability(provider: Provider) -> str | None:
    """Why the provider cannot be called now, or None when it can."""
    try:
        return None if await provider.available() else "not available"
    except Exception as error:  # noqa: BLE001  # a provider that breaks is one that is not there
        return f"its availability check failed ({_described(error)})"


class FailoverProvider:
    """Tries its candidates until one answers.

    An error, a stream that ends without DONE, `idle_stream` seconds of silence or more than
    `model_call` seconds in all move on to the next candidate; an invalid request, a filtered
    answer and a used-up budget do not. If the failed one had spoken, RESTART comes first.
    A candidate that failed is not tried again by later calls of the same chain. `causes` are
    those of candidates that were passed over before.
    """

    name = "failover"

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        model_call: float = 300.0,
        idle_stream: float = 90.0,
        causes: Mapping[str, str] | None = None,
    ) -> None:
        self._candidates = list({candidate.name: candidate for candidate in candidates}.values())
        self._model_call = model_call
        self._idle_stream = idle_stream
        self._causes = dict(causes or {})
        self.attempts: list[Attempt] = []

    async def available(self) -> bool:
        """Whether any candidate is left that can be called."""
        for candidate in self._remaining():
            if await unavailability(candidate.provider) is None:
                return True
        return False

    async def list_models(self) -> list[ModelInfo]:
        """The candidates' models under their full names, in order."""
        models = []
        for candidate in self._candidates:
            known = {info.id: info for info in await candidate.provider.list_models()}
            info = known.get(candidate.model) or ModelInfo(candidate.model)
            models.append(replace(info, id=candidate.name))
        return models

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """The first answer that succeeds; `request.model` gives way to each candidate's own.

        The ERROR of a chain of which nothing is left is `AllProvidersUnavailable`.
        """
        spoke = False
        for candidate in self._remaining():
            cause = await unavailability(candidate.provider)
            if cause is not None:
                self._causes[candidate.name] = cause
                continue
            if spoke:
                yield ChatEvent(EventType.RESTART)
                spoke = False
            call = _Call(candidate, self._model_call, self._idle_stream)
            events = call.events(replace(request, model=candidate.model))
            try:
                async for event in events:
                    spoke = spoke or event.type in _SPEAKS
                    yield event
            finally:
                await events.aclose()
                self.attempts.append(call.attempt())
            if call.answered:
                return
            error = call.failure()
            if error.kind in _FINAL_KINDS or isinstance(error, BudgetExceeded):
                yield ChatEvent(EventType.ERROR, error=error)
                return
            self._causes[candidate.name] = f"{error.kind}: {error}"
        yield ChatEvent(EventType.ERROR, error=AllProvidersUnavailable(self._causes))

    def _remaining(self) -> list[Candidate]:
        failed = {attempt.model for attempt in self.attempts if attempt.error is not None}
        return [candidate for candidate in self._candidates if candidate.name not in failed]


class _Call:
    """One call of one candidate: passes its events on, all but ERROR, and keeps the record."""

    def __init__(self, candidate: Candidate, model_call: float, idle_stream: float) -> None:
        self._candidate = candidate
        self._model_call = model_call
        self._idle_stream = idle_stream
        self._started = time.monotonic()
        self._usage = Usage()
        self._error: ProviderError | None = None
        self.answered = False

    def attempt(self) -> Attempt:
        """The record of the call so far."""
        return Attempt(
            model=self._candidate.name,
            answered=self.answered,
            seconds=time.monotonic() - self._started,
            usage=self._usage,
            error=self._error,
        )

    def failure(self) -> ProviderError:
        """Why the call did not answer; only after its events have ended without DONE."""
        assert self._error is not None
        return self._error

    async def events(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """The events up to and including DONE; after anything else, `failure()` says what."""
        deadline = asyncio.get_running_loop().time() + self._model_call
        stream = self._opened(request)
        if stream is None:
            return
        try:
            while (event := await self._next(stream, deadline)) is not None:
                if event.type is EventType.ERROR:
                    self._error = event.error or self._failed(
                        "failed without saying why", ErrorKind.SERVER
                    )
                    return
                if event.usage is not None:
                    self._usage = event.usage
                self.answered = event.type is EventType.DONE
                yield event
                if self.answered:
                    return
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    def _opened(self, request: ChatRequest) -> AsyncIterator[ChatEvent] | None:
        """The answer's stream, or None with the error kept: a plug-in may raise at once."""
        try:
            return self._candidate.provider.chat(request)
        except Exception as error:  # noqa: BLE001  # the turn goes on with the next candidate
            self._error = self._broken(error)
            return None

    async def _next(self, stream: AsyncIterator[ChatEvent], deadline: float) -> ChatEvent | None:
        """The next event, or None with the error kept. Never times the consumer, only the wait."""
        now = asyncio.get_running_loop().time()
        try:
            # A stream that always has something ready would never notice its deadline.
            if now >= deadline:
                raise TimeoutError
            async with asyncio.timeout_at(min(deadline, now + self._idle_stream)):
                return await anext(stream)
        except StopAsyncIteration:
            self._error = self._failed(
                "ended its stream before the answer was complete", ErrorKind.NETWORK
            )
        except TimeoutError:
            over = deadline - now < self._idle_stream
            self._error = self._failed(
                f"took longer than {self._model_call:g} s"
                if over
                else f"was silent for {self._idle_stream:g} s",
                ErrorKind.TIMEOUT,
            )
        except Exception as error:  # noqa: BLE001  # the turn goes on with the next candidate
            self._error = self._broken(error)
        return None

    def _broken(self, error: Exception) -> ProviderError:
        if isinstance(error, ProviderError):
            return error
        return self._failed(f"broke ({_described(error)})", ErrorKind.SERVER)

    def _failed(self, what: str, kind: ErrorKind) -> ProviderError:
        name = self._candidate.name
        return ProviderError(f"{name} {what}.", kind=kind, provider=name.partition("/")[0])


def _described(error: Exception) -> str:
    # The text of a foreign exception may quote a key or a person's message.
    return str(error) if isinstance(error, SigilError) else type(error).__name__
