"""One attempt: a call of one model with one key, paid for before and settled afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from sigil.errors import BudgetExceeded, PriceUnknown, ProviderError, StoreError
from sigil.errors.failures import POLICY, Billed
from sigil.providers.base import SPEECH, ChatEvent, ChatRequest, EventType, ModelInfo, Provider
from sigil.providers.chain.call import ModelCall
from sigil.providers.chain.meter import Hold, Meter
from sigil.providers.chain.record import AttemptRecord

# A turn that is stopped waits at most this long until its money is counted.
_END_S = 15.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What came of an attempt. With neither an answer nor an error, it was cancelled.

    `record` is missing if the model was not called, because there was no money for it. `speaking`
    says whether words of an answer that is not complete are still on people's screens.
    """

    answered: bool
    error: ProviderError | None
    speaking: bool
    record: AttemptRecord | None = None

    @property
    def has_spoken(self) -> bool:
        """Whether anything of an answer arrived in this attempt."""
        return self.record is not None and self.record.said > 0


class Attempt:
    """Yields the events of one call, and then finishes it: `events` first, `finish` always.

    `name` is the full `provider/model`, `key` the fingerprint of the key that `provider` uses.
    `speaking` says whether words of an earlier attempt are on the screen: then RESTART, which
    takes them back, comes before the first event.
    """

    def __init__(
        self,
        name: str,
        provider: Provider,
        key: str,
        *,
        model_call: float,
        idle_stream: float,
        meter: Meter,
        speaking: bool = False,
    ) -> None:
        self._name = name
        self._key = key
        self._meter = meter
        self._call = ModelCall(name, provider, model_call=model_call, idle_stream=idle_stream)
        self._hold: Hold | None = None
        self._unpaid: ProviderError | None = None
        self._speaking = speaking
        self._streams = True

    async def events(
        self, request: ChatRequest, info: ModelInfo
    ) -> AsyncGenerator[ChatEvent, None]:
        """Sets the money aside and yields the call's events, all but ERROR. Raises `StoreError` if
        nobody can say whether there is money."""
        self._streams = request.stream
        try:
            self._hold = await self._meter.reserve(self._name, request, info)
        except (BudgetExceeded, PriceUnknown) as error:
            self._unpaid = error
            return
        if self._speaking:
            self._speaking = False
            yield ChatEvent(EventType.RESTART)
        async with aclosing(self._call.events(request, self._hold.max_tokens)) as events:
            async for event in events:
                if event.type in SPEECH:
                    self._speaking = True
                yield event

    async def finish(self) -> AttemptResult:
        """Settles the call with what it cost. Also a cancelled call: what was spent is spent."""
        if self._hold is None:
            return AttemptResult(False, self._unpaid, self._speaking)
        cost = await self._settle(self._hold)
        call = self._call
        record = call.make_record(cost=cost, key=self._key)
        return AttemptResult(call.answered, call.error, self._speaking, record)

    async def _settle(self, hold: Hold) -> int | None:
        call = self._call
        if self._may_have_written_more():
            hold = replace(hold, unseen=True)
        try:
            return await self._meter.settle(
                hold, self._name, call.find_usage(), said=call.said, complete=call.answered
            )
        except StoreError as error:
            # A store that is away must not cost a good answer. The hold expires, and then counts
            # as its worst case.
            log.warning("model call not settled", model=self._name, reason=str(error))
            return hold.amount

    def _may_have_written_more(self) -> bool:
        """Whether the vendor may have written more than arrived: into a connection that was lost,
        or an answer that comes in one piece at its end."""
        if self._call.answered:
            return False
        error = self._call.error
        is_lost = error is not None and POLICY[error.kind].billed is Billed.MORE_THAN_CAME
        return is_lost or not self._streams


async def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work` and, if cancelled meanwhile, first lets it end: whoever cancelled the turn
    then finds its money counted and its record complete."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_END_S)
        raise
