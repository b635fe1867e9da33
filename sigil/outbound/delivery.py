"""One destination's lane: fit each message to its channel, send it chunk by chunk, and keep
a receipt per chunk.

    pending ─▶ sending ─▶ sent
                 │  └───▶ retry ─▶ sending …      the platform refused for now; the lane rests
                 └──────▶ (unknown)               the worker died, or the answer was lost

A chunk that is found in `sending` has an unknown fate. Where the platform takes an idempotency
key, the chunk is sent again under the same key. Elsewhere the account's `on_unknown` decides
between a possible double and a possible loss.

The first chunk of a message goes out without `sending` being written, which saves a commit for
nearly every message: that the message was in hand is in the lane already. Whoever takes it after a
crash is told `again`, which is "the first chunk was perhaps sent". Where `on_unknown` is `hold`,
perhaps is not enough, since nothing may be held back that was never sent: there `sending` is
always written. If the lane was given back untouched after that, the chunk was not sent yet.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from sigil.channels.base import Chunk
from sigil.channels.render import render
from sigil.errors import ChannelNotFound, SendFailed, SendRefused
from sigil.lanes.effects import DeadLetter, Delivered, Effect, Receipt, Stage
from sigil.lanes.lane import Item
from sigil.messages.exchange import OutboundMessage
from sigil.outbound.reports import make_report_keys
from sigil.records import read_record

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter, Entry
    from sigil.directory import Directory
    from sigil.lanes.held import Held

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0
# A platform that asks for more is tried after this all the same: one wrong number must not silence
# a destination for a year.
LONGEST_PAUSE_S = 3600.0
# A send that hangs would hold up its destination for good.
LONGEST_SEND_S = 120.0


@dataclass(frozen=True, slots=True)
class ChunkState:
    """Where a chunk stands; `attempts` counts how often sending it was begun. `in_lane`: who wrote
    this also notes in the lane whether the head was begun, which older versions do not."""

    state: str = "pending"
    attempts: int = 0
    platform_id: str | None = None
    in_lane: bool = False

    @classmethod
    def read(cls, item: Item, index: int) -> ChunkState:
        """The state that the item's record holds of chunk `index`. Raises `RecordTooNew`."""
        raw = item.fields.get(f"chunk:{index}")
        if raw is None:
            return cls()
        fields = read_record(raw)
        platform_id, in_lane = fields.get("platform_id"), fields.get("in_lane", False)
        return cls(fields["state"], fields["tries"], platform_id, in_lane)

    def write_receipt(self, item: Item, index: int) -> Receipt:
        """The effect that keeps this state in the item's record."""
        fields: dict[str, Any] = {"state": self.state, "tries": self.attempts}
        if self.platform_id is not None:
            fields["platform_id"] = self.platform_id
        if self.in_lane:
            fields["in_lane"] = True
        return Receipt(item.id, index, json.dumps(fields, separators=(",", ":")))


class Retry(Exception):  # tells the lane to rest, not an error
    """The platform asks for a pause of `delay` seconds; the receipt is kept already."""

    def __init__(self, delay: float) -> None:
        super().__init__(delay)
        self.delay = delay


class _Undeliverable(Exception):  # within this module only
    """Nothing more can be done for the message."""


class Delivery:
    """Delivers the items of a lane that the gateway holds."""

    def __init__(self, channels: ChannelRouter) -> None:
        self._channels = channels

    async def handle(self, held: Held, directory: Directory) -> None:
        """Sends the message at the head and removes it. Raises `Retry`, `LeaseLost`; and
        `MessageInvalid` or `RecordTooNew` for a message that cannot be read."""
        item = held.items[0]
        message = OutboundMessage.from_record(item.fields)
        receipts: list[Effect] = []
        try:
            entry, chunks = self._fit_message(item, message)
            for chunk in chunks:
                holds = _holds_unknown(entry, directory)
                state = _read_state(held, item, chunk, holds)
                if state.state != "sent":
                    # Each receipt is committed with the next chunk's mark, or with the end.
                    receipts = await self._send_chunk(
                        held, item, entry, chunk, state, receipts, holds
                    )
        except (ChannelNotFound, _Undeliverable) as error:
            log.warning("message not delivered", message_id=item.id, reason=str(error))
            await held.finish([item], _bury_item(item, str(error)))
        else:
            await held.finish([item], [*receipts, Delivered(item.id)])
            log.info("message sent", message_id=item.id, turn_id=item.fields.get("turn"))

    async def give_up(self, held: Held) -> tuple[Sequence[Item], list[Effect]]:
        """The item to be dead-lettered, and the effects that do it."""
        return held.items[:1], _bury_item(held.items[0], "sending it failed too often")

    async def _send_chunk(
        self,
        held: Held,
        item: Item,
        entry: Entry,
        chunk: Chunk,
        state: ChunkState,
        before: Sequence[Effect],
        holds_unknown: bool,
    ) -> list[Effect]:
        """Sends a chunk and returns its receipt, which is still to be committed, and by what the
        platform's reports find it. `before` is
        committed first, with the mark that sending was begun, where there is need for one."""
        if state.state == "sending":
            if holds_unknown:
                raise _Undeliverable("it is unknown whether the platform took it; held back")
            log.warning("delivery unknown, sent again", message_id=item.id, chunk=chunk.index)
        sending = ChunkState("sending", state.attempts + 1)
        if holds_unknown or chunk.index > 0 or state.state != "pending":
            mark = replace(sending, in_lane=True).write_receipt(item, chunk.index)
            await held.commit(effects=[*before, mark], keep=True)
        await held.confirm_fresh()
        try:
            platform_id = await _send_in_time(entry, chunk)
        except SendRefused as error:
            raise _Undeliverable(str(error)) from error
        except SendFailed as error:
            if sending.attempts >= MOST_ATTEMPTS or (error.outcome_unknown and holds_unknown):
                raise _Undeliverable(str(error)) from error
            if not error.outcome_unknown:
                held.note_known_end()
            retry = replace(sending, state="retry").write_receipt(item, chunk.index)
            await held.commit(effects=[retry], keep=True)
            raise Retry(_choose_pause(item, error, sending.attempts)) from error
        sent = ChunkState("sent", sending.attempts, platform_id)
        keys = make_report_keys(entry.name, entry.spec, item.id, chunk, platform_id)
        return [sent.write_receipt(item, chunk.index), *keys]

    def _fit_message(self, item: Item, message: OutboundMessage) -> tuple[Entry, list[Chunk]]:
        entry = self._channels.find(message.channel_type, message.account)
        messages = render(message.content, entry.spec)
        last = len(messages) - 1
        return entry, [
            Chunk(
                id=f"{item.id}.{index}",
                message=_take_part(message, rendered.text, is_last=index == last),
                rendered=rendered,
                index=index,
                final=index == last,
                turn_id=item.fields.get("turn"),
            )
            for index, rendered in enumerate(messages)
        ]


def _choose_pause(item: Item, error: SendFailed, attempts: int) -> float:
    """Seconds until the next try: as the platform asks, within bounds, or else longer each time."""
    asked = error.retry_after
    if asked is None:
        return min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempts - 1))
    if 0 <= asked <= LONGEST_PAUSE_S:
        return asked
    pause = 0.0 if asked < 0 else LONGEST_PAUSE_S
    log.warning(
        "the platform asks for a strange pause", message_id=item.id, asked=asked, kept=pause
    )
    return pause


def _take_part(message: OutboundMessage, text: str, *, is_last: bool) -> OutboundMessage:
    """What one chunk carries of a message. What is there once goes out with the last words."""
    if text == message.content:  # nearly always; a copy would be checked once more
        return message
    if is_last:
        return replace(message, content=text)
    return replace(message, content=text, media=(), details=None, actions=())


def _read_state(held: Held, item: Item, chunk: Chunk, holds_unknown: bool) -> ChunkState:
    state = ChunkState.read(item, chunk.index)
    is_unmarked = chunk.index == 0 and not holds_unknown and state.state == "pending"
    if is_unmarked and held.again:
        return ChunkState("sending", attempts=1)  # perhaps: see above
    if state.state == "sending" and state.in_lane and not held.again:
        return ChunkState("pending", state.attempts - 1)
    return state


def _holds_unknown(entry: Entry, directory: Directory) -> bool:
    account = directory.account(entry.name)
    return account.holds_unknown and not entry.spec.idempotent_send


async def _send_in_time(entry: Entry, chunk: Chunk) -> str | None:
    try:
        async with asyncio.timeout(LONGEST_SEND_S):
            return await entry.sender.send(chunk)
    except TimeoutError as error:
        text = f"the platform did not answer within {LONGEST_SEND_S:g} s."
        raise SendFailed(text, outcome_unknown=True) from error


def _bury_item(item: Item, reason: str) -> list[Effect]:
    """Ends a message that cannot be delivered. Its content is kept for replay."""
    return [Delivered(item.id, ok=False), DeadLetter(item.id, Stage.DELIVER, reason)]
