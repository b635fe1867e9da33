"""One call of one model, with its deadlines and its record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import astuple, replace
from typing import Any

import structlog

from sigil.conversation import ToolCall, Usage
from sigil.errors import ErrorKind, ProviderError, SigilError
from sigil.providers.base import ChatEvent, ChatRequest, EventType, Provider
from sigil.providers.chain.patience import Patience
from sigil.providers.chain.record import AttemptRecord

log = structlog.get_logger(__name__)

# Seconds that a provider may take to close its stream; nobody waits for what comes of it.
_CLOSE_S = 5.0
# A timer may go off so much too early.
_EARLY_S = 0.01

# A vendor that refuses in these ways has done no work that it could charge for.
_NEVER_BILLED = frozenset(
    {
        ErrorKind.AUTH,
        ErrorKind.BILLING,
        ErrorKind.RATE_LIMITED,
        ErrorKind.OVERLOADED,
        ErrorKind.UNAVAILABLE,
        ErrorKind.INVALID_REQUEST,
        ErrorKind.CONTEXT_TOO_LONG,
    }
)


class Call:
    """Passes a model's events on, all but ERROR, and keeps what came of the call.

    `name` is the full `provider/model`. More than `model_call` seconds in all or, in a stream,
    `idle_stream` seconds of silence end it.
    """

    def __init__(
        self, name: str, provider: Provider, *, model_call: float, idle_stream: float
    ) -> None:
        self._name = name
        self._provider = provider
        self._model_call = model_call
        self._idle_stream = idle_stream
        self._patience = Patience()
        self._deadline = self._until = 0.0
        self._started = time.monotonic()
        self._usage: Usage | None = None
        self.answered = False
        self.error: ProviderError | None = None
        self.said = 0

    def usage(self) -> Usage | None:
        """What the vendor counted; None if it did not say although it may have worked."""
        error = self.error
        if self._usage is not None or self.said or error is None:
            return self._usage
        refused = error.status is not None and error.status >= 400
        if refused or not error.reached or error.kind in _NEVER_BILLED:
            return Usage()
        return None

    def attempt(self, *, cost: int, key: str) -> AttemptRecord:
        """The record of the call so far."""
        used = self.usage()
        return AttemptRecord(
            model=self._name,
            answered=self.answered,
            seconds=time.monotonic() - self._started,
            usage=self._usage or Usage(),
            error=self.error,
            cost=cost,
            key=key,
            said=self.said,
            counted=used is not None and (used != Usage() or not self.said),
        )

    async def events(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """The events up to and including DONE; after anything else, `error` says what."""
        self._deadline = asyncio.get_running_loop().time() + self._model_call
        if not request.stream:
            # It comes all at once, and nothing before.
            self._idle_stream = self._model_call
        stream = self._opened(replace(request, heard=self._heard))
        if stream is None:
            return
        try:
            while (event := await self._next(stream)) is not None:
                if event.type is EventType.ERROR:
                    self.error = event.error or self._failed(
                        "failed without saying why", ErrorKind.SERVER
                    )
                    return
                if self._is_empty(event):
                    self.error = self._failed(
                        "thought until its answer's limit and said nothing",
                        ErrorKind.SERVER,
                        counts=False,
                    )
                    return
                self._note(event)
                yield event
                if self.answered:
                    return
        finally:
            self._patience.close()
            await self._close(stream)

    async def _close(self, stream: AsyncIterator[ChatEvent]) -> None:
        """A plug-in that cannot be closed takes nothing away from what it has said."""
        close = getattr(stream, "aclose", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await close()
        except Exception as error:  # noqa: BLE001
            log.warning("a stream was not closed", model=self._name, error=described(error))

    def _note(self, event: ChatEvent) -> None:
        if event.type is EventType.TEXT_DELTA:
            self.said += len(event.text.encode("utf-8", "surrogatepass"))
        elif event.usage is not None:
            self._usage = event.usage
        elif event.tool_call is not None:
            self.said += len(repr(event.tool_call).encode("utf-8", "surrogatepass"))
        self.answered = event.type is EventType.DONE

    def _opened(self, request: ChatRequest) -> AsyncIterator[ChatEvent] | None:
        """The answer's stream, or None with the error kept: a plug-in may raise at once."""
        try:
            return self._provider.chat(request)
        except Exception as error:  # noqa: BLE001  # the turn goes on with the next candidate
            self.error = self._broken(error)
            return None

    def _heard(self) -> None:
        """The silence begins anew."""
        now = asyncio.get_running_loop().time()
        self._until = min(self._deadline, now + self._idle_stream)
        self._patience.extend(self._until)

    async def _next(self, stream: AsyncIterator[ChatEvent]) -> ChatEvent | None:
        """The next event, or None with the error kept. Never times the consumer, only the wait."""
        self._heard()
        try:
            # A stream that always has something ready would never notice its deadline.
            if asyncio.get_running_loop().time() >= self._deadline:
                raise TimeoutError
            event = await self._patience.wait(anext(stream), self._until)
            if _is_sound(event):
                return event
            self.error = self._failed("sent what is no event", ErrorKind.SERVER)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody asked for it: something that the provider waited for was cancelled.
            self.error = self._broken(error)
        except StopAsyncIteration:
            self.error = self._failed(
                "ended its stream before the answer was complete", ErrorKind.NETWORK
            )
        except TimeoutError:
            self.error = self._failed(self._how_late(), ErrorKind.TIMEOUT)
        except Exception as error:  # noqa: BLE001  # the turn goes on with the next candidate
            self.error = self._broken(error)
        return None

    def _how_late(self) -> str:
        if asyncio.get_running_loop().time() < self._until - _EARLY_S:
            return "gave up waiting"  # a deadline of the provider's own
        if self._until < self._deadline:
            return f"was silent for {self._idle_stream:g} s"
        return f"took longer than {self._model_call:g} s"

    def _broken(self, error: BaseException) -> ProviderError:
        if isinstance(error, ProviderError) and _is_error(error):
            return error
        return self._failed(f"broke ({described(error)})", ErrorKind.SERVER)

    def _is_empty(self, event: ChatEvent) -> bool:
        """The limit may be ours, lowered by a budget, so that it is not the vendor's fault."""
        return event.type is EventType.DONE and event.stop_reason == "length" and not self.said

    def _failed(self, what: str, kind: ErrorKind, *, counts: bool = True) -> ProviderError:
        name = self._name
        provider = name.partition("/")[0]
        return ProviderError(f"{name} {what}.", kind=kind, provider=provider, counts=counts)


def _is_sound(event: Any) -> bool:
    """Whether it is what the types promise: plug-ins may be written without a type checker."""
    if not isinstance(event, ChatEvent) or not isinstance(event.type, EventType):
        return False
    check = _CHECKS.get(event.type)
    return check is None or check(event)


def _is_call(call: Any) -> bool:
    if not isinstance(call, ToolCall):
        return False
    fields: list[Any] = [call.id, call.name, call.arguments]
    return all(map(isinstance, fields, (str, str, Mapping)))


def _is_usage(usage: Any) -> bool:
    return isinstance(usage, Usage) and all(isinstance(count, int) for count in astuple(usage))


def _is_error(error: Any) -> bool:
    return isinstance(error, ProviderError) and isinstance(error.kind, ErrorKind)


_CHECKS: Mapping[EventType, Callable[[Any], bool]] = {
    EventType.TEXT_DELTA: lambda event: isinstance(event.text, str),
    EventType.TOOL_CALL: lambda event: _is_call(event.tool_call),
    EventType.USAGE: lambda event: _is_usage(event.usage),
    EventType.ERROR: lambda event: event.error is None or _is_error(event.error),
}


def described(error: BaseException) -> str:
    """What may be shown: the text of a foreign exception may quote a key or a message."""
    return str(error) if isinstance(error, SigilError) else type(error).__name__
