"""One try of one model: paid for, called, settled, and reported to the other workers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from sigil.errors import BudgetExceeded, ErrorKind, PriceUnknown, ProviderError, StoreError
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo, Provider
from sigil.providers.chain.call import Call
from sigil.providers.chain.health import SHORTEST_RETRY_AFTER_S
from sigil.providers.chain.health_store import Admission, Cooldown
from sigil.providers.chain.meter import Hold, Meter
from sigil.providers.chain.record import AttemptRecord

if TYPE_CHECKING:
    from sigil.providers.chain.health import Health

log = structlog.get_logger(__name__)

QUICK_TRIES = 2
# A person waits at most this long because a vendor asks for it, and only for the last hope.
LONGEST_WAIT_S = 60.0

# For so long a probe has to speak, that it counts before its end.
PROVEN_S = 3.0
# A turn that is stopped waits at most this long for its money to be counted.
_END_S = 15.0
_QUICK_PAUSE_S = (0.2, 0.6)
_SPEAKS = frozenset({EventType.TEXT_DELTA, EventType.TOOL_CALL})
# The same request would get the same answer from any other model.
_FINAL_KINDS = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED})
# What may be over in a moment.
_QUICK_KINDS = frozenset({ErrorKind.NETWORK, ErrorKind.OVERLOADED})
# What another key of the same vendor may not share.
_KEY_KINDS = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.BILLING})
# The vendor does not know that nobody listens any more, and goes on writing.
_LOST = frozenset({ErrorKind.NETWORK, ErrorKind.TIMEOUT})
_WAITED_FOR = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED})


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for all tries of a chain: deadlines in seconds, who is asked before a
    call and told after it, and where the record goes."""

    model_call: float
    idle_stream: float
    health: Health | None
    meter: Meter | None
    record: Callable[[AttemptRecord], None]


@dataclass(slots=True)
class Progress:
    """What one `chat` of a chain has come to. `longest` is the largest context (tokens) that was
    too short for the request, `too_long` the error that said so."""

    spoke: bool = False
    answered: bool = False
    final: ProviderError | None = None
    too_long: ProviderError | None = None
    longest: int = 0


class Attempt:
    """One try with the key that was admitted; `number` counts those of one candidate from 1.

    Afterwards `error` says why there was no answer, and `pause` in how many seconds the same
    candidate may be tried again (None: not in this turn); `kept` tells that the admission still
    stands for that, `rests` how the model rests because of it. `last` tells whether nobody else
    is left who could be tried.
    """

    def __init__(
        self,
        terms: Terms,
        name: str,
        keys: Mapping[str, Provider],
        admission: Admission,
        *,
        number: int,
        last: Callable[[], Awaitable[bool]],
    ) -> None:
        self._terms = terms
        self._name = name
        self._keys = keys
        self._admission = admission
        self._number = number
        self._last = last
        self._call = Call(
            name,
            keys[admission.key],
            model_call=terms.model_call,
            idle_stream=terms.idle_stream,
        )
        self.error: ProviderError | None = None
        self.pause: float | None = None
        self.kept = False
        self.rests: Cooldown | None = None
        self._spoke_at: float | None = None
        self._proven = False

    async def events(
        self, request: ChatRequest, info: ModelInfo, progress: Progress
    ) -> AsyncGenerator[ChatEvent, None]:
        """The call's events, after a RESTART if an earlier try had spoken."""
        hold = await self._reserved(request, info, progress)
        if hold is None:
            return
        try:
            async with self._probing():
                if progress.spoke:
                    progress.spoke = False
                    yield ChatEvent(EventType.RESTART)
                paid = replace(request, max_tokens=hold.max_tokens)
                async with aclosing(self._call.events(paid)) as events:
                    async for event in events:
                        if event.type in _SPEAKS:
                            progress.spoke = True
                            if self._admission.probe:
                                await self._speaks()
                        progress.answered = self._call.answered
                        yield event
        finally:
            if self._unheard(request):
                hold = replace(hold, unseen=True)
            # Also when the turn is cancelled: what was spent is spent.
            await _to_its_end(self._closed(hold, info, progress))

    async def rest(self) -> None:
        """Waits until the same candidate may be tried again."""
        assert self.pause is not None
        try:
            await asyncio.sleep(self.pause)
        except asyncio.CancelledError:
            if self.kept:
                await self._release()
            raise

    async def _reserved(
        self, request: ChatRequest, info: ModelInfo, progress: Progress
    ) -> Hold | None:
        """The money for the call, or None with the error kept."""
        if self._terms.meter is None:
            return Hold("", 0, request.max_tokens)
        try:
            return await self._terms.meter.reserve(self._name, request, info)
        except BudgetExceeded as error:
            self.error = progress.final = error
        except PriceUnknown as error:
            self.error = error
        except (StoreError, asyncio.CancelledError):
            await self._release()
            raise
        await self._release()
        return None

    async def _release(self) -> None:
        if self._terms.health is not None:
            await self._terms.health.release(self._admission)

    async def _speaks(self) -> None:
        """A probe that has spoken for a while has shown that the model works; the others need
        not wait for the end of a long answer."""
        if self._terms.health is None or self._proven:
            return
        now = asyncio.get_running_loop().time()
        self._spoke_at = self._spoke_at or now
        if now - self._spoke_at >= PROVEN_S:
            self._proven = True
            await self._terms.health.report(self._admission, None)

    def _probing(self) -> AbstractAsyncContextManager[None]:
        health = self._terms.health
        return nullcontext() if health is None else health.probing(self._admission)

    async def _judge(self, info: ModelInfo, progress: Progress) -> None:
        """What the end of the call means for the tries to come."""
        error = self.error = self._call.error
        if error is None:
            return
        if error.kind in _FINAL_KINDS or isinstance(error, BudgetExceeded):
            progress.final = error
        elif error.kind is ErrorKind.CONTEXT_TOO_LONG:
            progress.too_long = error
            progress.longest = max(progress.longest, info.max_context_tokens)
        else:
            await self._plan(error)

    async def _plan(self, error: ProviderError) -> None:
        """Whether and when the same candidate is tried again in this turn."""
        wait = error.retry_after
        if error.kind in _KEY_KINDS and self._number < len(self._keys):
            self.pause = 0.0
        elif self._number >= QUICK_TRIES:
            return
        elif error.kind in _WAITED_FOR and wait is not None:
            if wait <= LONGEST_WAIT_S and await self._last():
                # Until then the key rests.
                wait = max(wait, SHORTEST_RETRY_AFTER_S)
                self.pause = wait + random.uniform(*_QUICK_PAUSE_S)  # noqa: S311  # jitter
        elif error.kind in _QUICK_KINDS and (not self._call.said or await self._last()):
            # Once it has spoken the next model starts over, if there is one.
            self.pause = random.uniform(*_QUICK_PAUSE_S)  # noqa: S311  # jitter
            self.kept = True

    def _unheard(self, request: ChatRequest) -> bool:
        """Whether the vendor may have written more than came from it: all at once at the end, or
        into a connection that was lost."""
        error = self._call.error
        lost = error is not None and error.kind in _LOST
        return not self._call.answered and (lost or not request.stream)

    async def _closed(self, hold: Hold, info: ModelInfo, progress: Progress) -> None:
        """Settles, judges and reports."""
        cost = await self._settled(hold)
        await self._judge(info, progress)
        await self._reported()
        self._terms.record(self._call.attempt(cost=cost, key=self._admission.key))

    async def _settled(self, hold: Hold) -> int:
        """What the call counts as. A store that is away now must not cost a good answer: what was
        reserved is then settled at its worst case when it expires."""
        call, meter = self._call, self._terms.meter
        if meter is None:
            return 0
        try:
            return await meter.settle(
                hold, self._name, call.usage(), said=call.said, complete=call.answered
            )
        except StoreError as error:
            log.warning("a model call was not settled", model=self._name, reason=str(error))
            return hold.amount

    async def _reported(self) -> None:
        health = self._terms.health
        if health is None or self.kept:
            return
        if self._call.answered or self.error is not None:
            self.rests = await health.report(self._admission, self.error)
        else:
            await health.release(self._admission)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Waits for it also when cancelled: whoever reads the record then finds it complete."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_END_S)
        raise
