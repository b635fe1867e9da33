"""One message in hand: its chunks, one after the other, each with its receipt.

    its turn? ─▶ unknown? look it up ─▶ mark ─▶ send ─▶ receipt
     │                                          │
     └ not yet: park                            ├ markup refused: at once, in a simpler form
                                                ├ later, or nobody knows: park
                                                └ never: give the message up

The first chunk of a message goes out without a mark, which saves a commit for nearly every message:
that the message was in hand is in the lane already. Whoever takes it after a crash is told `again`,
which is "the first chunk was perhaps sent". Where `on_unknown` is `hold`, perhaps is not enough,
since nothing may be held back that was never sent: there the mark is always written. If the lane
was given back untouched after that, the chunk was not sent yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import structlog

from sigil.channels.base import EditsMessages, LooksUp
from sigil.errors import ChatMoved, MarkupRefused, SendFailed, SendRefused
from sigil.outbound.chunks import simplify
from sigil.outbound.pauses import (
    bound_pause,
    choose_asked_pause,
    choose_pause,
    choose_rest,
    choose_spread,
)
from sigil.outbound.rates import Rates
from sigil.outbound.receipts import ChunkState, read_state
from sigil.outbound.reports import make_report_keys

if TYPE_CHECKING:
    from sigil.channels.base import ChannelSpec, Chunk, Sender
    from sigil.lanes.effects import Effect
    from sigil.lanes.held import Held
    from sigil.stores.base import Stores

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST_ATTEMPTS = 5
# A message for which the platform asks for one pause after the other is given up after this.
LONGEST_PATIENCE_S = 3 * 86_400.0
# A send that hangs would hold up its destination for good.
LONGEST_SEND_S = 120.0


class Retry(Exception):  # tells the lane to rest, not an error
    """The lane is to rest for `delay` seconds; the receipt is kept already."""

    def __init__(self, delay: float) -> None:
        super().__init__(delay)
        self.delay = delay


class Undeliverable(Exception):  # tells the delivery, not an error
    """Nothing more can be done for the message; nor for others to its chat, if that is closed."""

    def __init__(self, reason: str, *, closes_chat: bool = False) -> None:
        super().__init__(reason)
        self.closes_chat = closes_chat


class Sending:
    """Sends the chunks of the message at the head of a lane in hand, through the `sender` of the
    account that is configured as `entry`. `holds_unknown`: what was perhaps sent is held back.

    `receipts` are still to be committed: each is with the next chunk's mark, or with the end.
    """

    def __init__(
        self,
        held: Held,
        entry: str,
        spec: ChannelSpec,
        sender: Sender,
        stores: Stores,
        *,
        holds_unknown: bool,
    ) -> None:
        self.receipts: list[Effect] = []
        self._held = held
        self._item = held.items[0]
        self._entry = entry
        self._spec = spec
        self._sender = sender
        self._rests = stores.account_rests
        self._rates = Rates(entry, spec, stores.paces, stores.account_rests)
        # What can be looked up, or is taken once by its key, need not be held back.
        is_certain = spec.idempotent_send or isinstance(sender, LooksUp)
        self._holds_unknown = holds_unknown and not is_certain

    async def send(self, chunk: Chunk) -> None:
        """Sends a chunk, unless it has been sent. Raises `Retry`, `Undeliverable`, `ChatMoved`,
        `LeaseLost`; and `RecordTooNew`."""
        state = read_state(self._held, chunk.index, is_marked=self._holds_unknown)
        if state.state == "sent":
            return
        wait = await self._rates.find_wait(self._held, chunk.message)
        if wait:
            await self._park(wait)
        if state.is_unknown:
            state = await self._settle_unknown(chunk, state)
        if state.state != "sent":
            state = await self._send(_shape(chunk, state), state)
        keys = make_report_keys(self._entry, self._spec, self._item.id, chunk, state.platform_id)
        self.receipts += (state.write_receipt(self._item, chunk.index), *keys)

    async def _park(self, delay: float) -> None:
        if self.receipts:
            await self._held.commit(effects=self.receipts, keep=True)
        raise Retry(delay)

    # ------------------------------------------------------------ one attempt

    async def _send(self, chunk: Chunk, before: ChunkState) -> ChunkState:
        """Sends a chunk that is in the state `before`; returns the one that it is in then."""
        state, is_marked = before.begin(), False
        if self._holds_unknown or chunk.index > 0 or before.state != "pending":
            marks = [*self.receipts, state.mark(self._item, chunk.index)]
            await self._held.commit(effects=marks, keep=True)
            self.receipts, is_marked = [], True
        await self._held.confirm_fresh()
        try:
            platform_id = await _within_time(self._call(chunk))
        except MarkupRefused as error:
            simpler = replace(state, simpler=state.simpler + 1)
            again = simplify(chunk, 1 if state.simpler == 0 else 2)
            if again is None:
                raise Undeliverable(str(error)) from error
            log.info("markup refused, sent in a simpler form", message_id=self._item.id)
            return await self._send(again, simpler)
        except SendRefused as error:
            if chunk.replaces is None or error.closes_chat:
                raise Undeliverable(str(error), closes_chat=error.closes_chat) from error
            return await self._send(replace(chunk, replaces=None), replace(state, is_new=True))
        except SendFailed as error:
            raise await self._put_off(chunk, before, state, error, is_marked=is_marked) from error
        await self._rates.note_sent()
        return replace(state, state="sent", platform_id=platform_id, waits=0, waits_since=0.0)

    async def _call(self, chunk: Chunk) -> str | None:
        if chunk.replaces is None or chunk.message.media:  # an edit carries no files
            return await self._sender.send(chunk)
        assert isinstance(self._sender, EditsMessages)  # only such a sender is given one
        await self._sender.edit(chunk, chunk.replaces)
        return chunk.replaces

    async def _put_off(
        self,
        chunk: Chunk,
        before: ChunkState,
        state: ChunkState,
        error: SendFailed,
        *,
        is_marked: bool,
    ) -> Exception:
        """Keeps what came of a failed attempt; returns what tells the lane how to go on."""
        if error.outcome_unknown:
            if state.attempts >= MOST_ATTEMPTS or self._holds_unknown:
                return Undeliverable(str(error))
            await self._keep(chunk, replace(state, state="unknown"))
            return Retry(choose_pause(state.attempts))
        # The chunk was certainly not sent.
        self._held.note_known_end()
        if isinstance(error, ChatMoved) or error.rests_account:
            # That is no fault of the message, so it is no attempt either.
            if is_marked:
                await self._keep(chunk, replace(before, state="retry"))
            return error if isinstance(error, ChatMoved) else Retry(await self._rest(error))
        if error.retry_after is not None:
            return await self._keep_waiting(chunk, before, error.retry_after, error)
        if state.attempts >= MOST_ATTEMPTS:
            return Undeliverable(str(error))
        await self._keep(chunk, replace(state, state="retry"))
        return Retry(choose_pause(state.attempts))

    async def _keep_waiting(
        self, chunk: Chunk, before: ChunkState, asked: float, error: SendFailed
    ) -> Exception:
        """The platform asks to come later with this chunk."""
        waits, since = before.waits + 1, before.waits_since or time.time()
        if time.time() - since > LONGEST_PATIENCE_S:
            return Undeliverable(str(error))
        state = replace(before, state="retry", waits=waits, waits_since=since)
        await self._keep(chunk, state)
        return Retry(choose_asked_pause(self._item.id, asked, waits))

    async def _rest(self, error: SendFailed) -> float:
        """Lets the account rest; returns the seconds until this lane is to be taken again."""
        asked, kind = error.retry_after, choose_rest(error)
        pause = await self._rests.begin(
            self._entry,
            kind,
            str(error),
            seconds=None if asked is None else bound_pause(self._item.id, asked),
        )
        self._held.rests = True
        log.warning(
            "the account rests", channel=self._entry, kind=kind, seconds=pause, reason=str(error)
        )
        return pause + choose_spread()

    async def _keep(self, chunk: Chunk, state: ChunkState) -> None:
        receipt = state.write_receipt(self._item, chunk.index)
        await self._held.commit(effects=[*self.receipts, receipt], keep=True)
        self.receipts = []

    # ------------------------------------------------------------ unknown

    async def _settle_unknown(self, chunk: Chunk, state: ChunkState) -> ChunkState:
        """What can be found out about a chunk that was perhaps sent: the state to go on from."""
        if isinstance(self._sender, LooksUp):
            return await self._look_up(self._sender, chunk, state)
        if self._spec.idempotent_send or (chunk.replaces is not None and not state.is_new):
            return state  # the platform knows it by its key, and an edit may be repeated
        if self._holds_unknown:
            raise Undeliverable("it is unknown whether the platform took it; held back")
        log.warning(
            "delivery unknown, sent again",
            message_id=self._item.id,
            chunk=chunk.index,
            doubtful=True,
        )
        return replace(state, doubtful=True)

    async def _look_up(self, sender: LooksUp, chunk: Chunk, state: ChunkState) -> ChunkState:
        try:
            platform_id = await _within_time(sender.look_up(_shape(chunk, state)))
        except SendRefused as error:
            raise Undeliverable(str(error), closes_chat=error.closes_chat) from error
        except SendFailed as error:
            if error.rests_account:
                raise Retry(await self._rest(error)) from error
            tries = replace(state, state="unknown", attempts=state.attempts + 1)
            if tries.attempts >= MOST_ATTEMPTS:
                reason = "it is unknown whether the platform took it, and it cannot be looked up"
                raise Undeliverable(reason) from error
            await self._keep(chunk, tries)
            asked = error.retry_after
            pause = (
                choose_pause(tries.attempts) if asked is None else bound_pause(self._item.id, asked)
            )
            raise Retry(pause) from error
        if platform_id is None:
            return replace(state, state="retry")
        log.info("looked up: it was sent", message_id=self._item.id, chunk=chunk.index)
        return replace(state, state="sent", platform_id=platform_id)


def _shape(chunk: Chunk, state: ChunkState) -> Chunk:
    """The chunk in the form in which it was sent last."""
    chunk = replace(chunk, attempt=1 + state.attempts + state.waits)
    if state.is_new:
        chunk = replace(chunk, replaces=None)
    for step in range(min(state.simpler, 2)):
        chunk = simplify(chunk, step + 1) or chunk
    return chunk


async def _within_time(call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(LONGEST_SEND_S):
            return await call
    except TimeoutError as error:
        text = f"the platform did not answer within {LONGEST_SEND_S:g} s."
        raise SendFailed(text, outcome_unknown=True) from error
