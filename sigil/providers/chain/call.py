"""One call of one model: its events, its deadlines, and what came of it.

Whatever a provider does, a call ends in one of three ways: `answered`, `error`, or (if it was
cancelled) neither. A provider that raises, stalls, stops without DONE or sends nonsense has an
error like one that reports it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import structlog

from sigil.errors import ErrorKind, ProviderError
from sigil.errors.failures import POLICY, Billed
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, Provider
from sigil.providers.chain.patience import Patience
from sigil.providers.chain.plugins import describe_error, is_valid_error, is_valid_event
from sigil.providers.chain.record import AttemptRecord

log = structlog.get_logger(__name__)

# Seconds for a provider to close its stream. By then the answer is complete.
_CLOSE_S = 5.0
# A timer may go off this much too early.
_EARLY_S = 0.01


class ModelCall:
    """Passes a model's events on, all but ERROR, and keeps what came of the call.

    `name` is the full `provider/model`. The call fails after `model_call` seconds in all or, while
    it streams, after `idle_stream` seconds of silence. Afterwards `answered` says whether DONE
    came, `error` why it did not, and `said` counts the bytes of the answer that arrived.
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
        self._max_tokens = 0
        self._cut_at: int | None = None

    def find_usage(self) -> Usage | None:
        """The tokens to pay for: what the vendor counted, zero if it certainly did no work, and
        None if nobody knows."""
        error = self.error
        if self._usage is not None or self.said or error is None:
            return self._usage
        has_refused = error.status is not None and error.status >= 400
        if has_refused or not error.reached or POLICY[error.kind].billed is Billed.NOTHING:
            return Usage()
        return None

    def make_record(self, *, cost: int | None, key: str) -> AttemptRecord:
        """Makes the record of the call so far."""
        usage = self.find_usage()
        return AttemptRecord(
            model=self._name,
            answered=self.answered,
            seconds=time.monotonic() - self._started,
            usage=self._usage or Usage(),
            error=self.error,
            cost=cost,
            key=key,
            said=self.said,
            counted=usage is not None and (usage != Usage() or not self.said),
            cut_at=self._cut_at,
        )

    async def events(
        self, request: ChatRequest, max_tokens: int
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yields the events up to and including DONE, or until `error` is set. `max_tokens` are
        those of the answer that there is money for."""
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + self._model_call
        self._max_tokens = max_tokens
        if not request.stream:
            # The answer comes in one piece, so until then there is nothing but silence.
            self._idle_stream = self._model_call
        paid = replace(request, max_tokens=max_tokens, note_activity=self._restart_silence)
        try:
            stream = self._provider.chat(paid)
        except Exception as error:  # noqa: BLE001  # a plug-in may raise before it streams
            self.error = self._wrap_error(error)
            return
        try:
            while (event := await self._read_event(stream)) is not None:
                self._note(event)
                if self.error is not None:
                    return
                yield event
                if self.answered:
                    return
        finally:
            self._patience.close()
            await self._close(stream)

    def _note(self, event: ChatEvent) -> None:
        """Keeps what an event means for the outcome of the call."""
        if event.type is EventType.TEXT_DELTA:
            self.said += len(event.text.encode("utf-8", "surrogatepass"))
        elif event.type is EventType.ERROR:
            self.error = event.error or self._make_error("failed without saying why")
        elif event.type is EventType.DONE and event.stop_reason == "length" and not self.said:
            # The limit may be ours, lowered by a budget, so this does not count against the model.
            thoughts_only = "thought until its answer's limit and said nothing"
            self.error = self._make_error(thoughts_only, counts=False)
        else:
            self._usage = event.usage or self._usage
            if event.tool_call is not None:
                self.said += len(repr(event.tool_call).encode("utf-8", "surrogatepass"))
            self.answered = event.type is EventType.DONE
            if event.stop_reason == "length":
                self._cut_at = self._max_tokens

    def _restart_silence(self) -> None:
        """Gives the model another `idle_stream` seconds, within the deadline of the call."""
        now = self._loop.time()
        self._until = min(self._deadline, now + self._idle_stream)
        self._patience.extend(self._until)

    async def _read_event(self, stream: AsyncIterator[ChatEvent]) -> ChatEvent | None:
        """Waits for the next event; None if `error` was set instead. Only this wait is timed, so
        a slow reader of the answer does not make the model late."""
        self._restart_silence()
        try:
            # A stream that always has something ready never waits, and so would never be late.
            if self._loop.time() >= self._deadline:
                raise TimeoutError
            event = await self._patience.wait(anext(stream), self._until)
            if is_valid_event(event):
                return event
            self.error = self._make_error("sent something that is not an event")
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this turn: something that the provider waited for was cancelled.
            self.error = self._wrap_error(error)
        except StopAsyncIteration:
            cut_off = "ended its stream before the answer was complete"
            self.error = self._make_error(cut_off, ErrorKind.NETWORK)
        except TimeoutError:
            self.error = self._make_error(self._describe_timeout(), ErrorKind.TIMEOUT)
        except Exception as error:  # noqa: BLE001  # the turn goes on with the next candidate
            self.error = self._wrap_error(error)
        return None

    async def _close(self, stream: AsyncIterator[ChatEvent]) -> None:
        """Closes the stream. A plug-in that cannot be closed has answered all the same."""
        close = getattr(stream, "aclose", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await close()
        except Exception as error:  # noqa: BLE001
            log.warning("stream not closed", model=self._name, reason=describe_error(error))

    def _describe_timeout(self) -> str:
        if self._loop.time() < self._until - _EARLY_S:
            return "gave up waiting"  # by a deadline of the provider's own
        if self._until < self._deadline:
            return f"was silent for {self._idle_stream:g} s"
        return f"took longer than {self._model_call:g} s"

    def _wrap_error(self, error: BaseException) -> ProviderError:
        if isinstance(error, ProviderError) and is_valid_error(error):
            return error
        return self._make_error(f"broke ({describe_error(error)})")

    def _make_error(
        self, what: str, kind: ErrorKind = ErrorKind.SERVER, *, counts: bool = True
    ) -> ProviderError:
        provider = self._name.partition("/")[0]
        return ProviderError(f"{self._name} {what}.", kind=kind, provider=provider, counts=counts)
