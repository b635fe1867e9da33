"""One destination's lane: fit each message to its channel, send it chunk by chunk, and keep
a receipt per chunk.

Receipts go pending → sending → sent | retry | dead. A chunk that is found in `sending` has
an unknown fate: its worker died, or the platform's answer was lost. Where the platform
takes an idempotency key it is sent again under the same key; elsewhere the channel's
`on_unknown` decides.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from sigil.channels.base import Channel, Chunk
from sigil.channels.fit import split
from sigil.effects import DeadLetter, Delivered, Effect, Receipt, Stage
from sigil.errors import ChannelNotFound, MessageInvalid, SendFailed, SendRefused
from sigil.lanes import Item
from sigil.messages import OutboundMessage

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter
    from sigil.config import Settings
    from sigil.leases import Held

log = structlog.get_logger(__name__)

MOST_TRIES = 5
FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0
# A send that hangs would hold up its destination for good.
LONGEST_SEND = 120.0


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a chunk stands; `tries` counts the times that sending it was begun."""

    state: str = "pending"
    tries: int = 0
    platform_id: str | None = None

    @classmethod
    def of(cls, item: Item, index: int) -> Fate:
        raw = item.fields.get(f"chunk:{index}")
        return cls(**json.loads(raw)) if raw else cls()

    def receipt(self, item: Item, index: int) -> Receipt:
        fields: dict[str, Any] = {"state": self.state, "tries": self.tries}
        if self.platform_id is not None:
            fields["platform_id"] = self.platform_id
        return Receipt(item.id, index, json.dumps(fields))


class Retry(Exception):  # tells the lane to rest, not an error
    """The platform asks for a pause of `delay` seconds; the receipt is kept already."""

    def __init__(self, delay: float) -> None:
        super().__init__(delay)
        self.delay = delay


class _Undeliverable(Exception):  # within this module only
    """Nothing more can be done for the message."""


class Delivery:
    """Delivers the items of a lane that the gateway holds."""

    def __init__(self, channels: ChannelRouter, settings: Settings) -> None:
        self._channels = channels
        self._settings = settings

    async def deliver(self, held: Held, item: Item) -> None:
        """Sends one message and removes it from the lane. Raises `Retry`, `LeaseLost`."""
        sent: list[Effect] = []
        try:
            channel, chunks = self._fit(item)
            for chunk in chunks:
                fate = Fate.of(item, chunk.index)
                if fate.state != "sent":
                    sent = [await self._send(held, item, channel, chunk, fate, sent)]
        except (ChannelNotFound, MessageInvalid, _Undeliverable) as error:
            log.warning("message not delivered", message_id=item.id, reason=str(error))
            await held.finish([item], give_up(item, str(error)))
        else:
            await held.finish([item], [*sent, Delivered(item.id)])
            log.info("message sent", message_id=item.id, turn_id=item.fields.get("turn"))

    async def _send(
        self,
        held: Held,
        item: Item,
        channel: Channel,
        chunk: Chunk,
        fate: Fate,
        before: Sequence[Effect],
    ) -> Receipt:
        """Sends a chunk and returns its receipt, which is still to be committed."""
        if fate.state == "sending":
            if self._holds_back(channel):
                raise _Undeliverable("it is unknown whether the platform took it; held back")
            log.warning("delivery unknown, sent again", message_id=item.id, chunk=chunk.index)
        sending = Fate("sending", fate.tries + 1)
        # The mark is also the check that the lease holds, right before the platform is called.
        await held.commit(effects=[*before, sending.receipt(item, chunk.index)], keep=True)
        try:
            platform_id = await _send_in_time(channel, chunk)
        except SendRefused as error:
            raise _Undeliverable(str(error)) from error
        except SendFailed as error:
            if sending.tries >= MOST_TRIES or (error.outcome_unknown and self._holds_back(channel)):
                raise _Undeliverable(str(error)) from error
            retry = replace(sending, state="retry").receipt(item, chunk.index)
            await held.commit(effects=[retry], keep=True)
            backoff = min(LAST_PAUSE, FIRST_PAUSE * 2 ** (sending.tries - 1))
            delay = backoff if error.retry_after is None else error.retry_after
            raise Retry(delay) from error
        return Fate("sent", sending.tries, platform_id).receipt(item, chunk.index)

    def _fit(self, item: Item) -> tuple[Channel, list[Chunk]]:
        message = OutboundMessage.from_json(item.fields.get("body", ""))
        channel = self._channels.get(message.channel_type)
        texts = split(message.content, channel.capabilities.max_chars) or [""]
        last = len(texts) - 1
        return channel, [
            Chunk(
                id=f"{item.id}.{index}",
                # Files go out once, with the last words.
                message=replace(
                    message, content=text, media=message.media if index == last else ()
                ),
                index=index,
                final=index == last,
                turn_id=item.fields.get("turn"),
            )
            for index, text in enumerate(texts)
        ]

    def _holds_back(self, channel: Channel) -> bool:
        policy = self._settings.policy(channel.name)
        return policy.on_unknown == "hold" and not channel.capabilities.idempotent_send


async def _send_in_time(channel: Channel, chunk: Chunk) -> str | None:
    try:
        async with asyncio.timeout(LONGEST_SEND):
            return await channel.send(chunk)
    except TimeoutError as error:
        text = f"the platform did not answer within {LONGEST_SEND:g} s."
        raise SendFailed(text, outcome_unknown=True) from error


def give_up(item: Item, reason: str) -> list[Effect]:
    """What ends a message that cannot be delivered, with its content kept for replay."""
    return [Delivered(item.id, ok=False), DeadLetter(item.id, Stage.DELIVER, reason)]
