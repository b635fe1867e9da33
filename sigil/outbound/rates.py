"""When the next message may go out to a chat: as the platform's limits and rests allow.

A channel without a pace costs nothing here. The lease of a lane says whether some account may rest
(`Held.rests`), and only then somebody looks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sigil.channels.paces import SHORT_WAIT_S, PaceTurn
from sigil.outbound.pauses import choose_spread

if TYPE_CHECKING:
    from sigil.channels.account_rests import AccountRests
    from sigil.channels.base import ChannelSpec
    from sigil.channels.paces import Paces
    from sigil.lanes.held import Held
    from sigil.messages.exchange import OutboundMessage


class Rates:
    """The limits of the account that is configured as `entry`."""

    def __init__(self, entry: str, spec: ChannelSpec, paces: Paces, rests: AccountRests) -> None:
        self._entry = entry
        self._pace = spec.pace
        self._paces = paces
        self._rests = rests
        self._has_rested = False

    async def find_wait(self, held: Held, message: OutboundMessage) -> float:
        """For how many seconds the lane is to be parked before the message is sent; 0 if it may be
        sent now. Short waits end here."""
        turn = await self._take_turn(held, message)
        self._has_rested = turn.has_rested
        if turn.seconds > SHORT_WAIT_S:
            return turn.seconds + (choose_spread() if turn.has_rested else 0.0)
        if turn.seconds > 0:
            await asyncio.sleep(turn.seconds)
        return 0.0

    async def _take_turn(self, held: Held, message: OutboundMessage) -> PaceTurn:
        pace = self._pace
        chat_s = pace.chat if message.is_direct else pace.group
        if chat_s or pace.account:
            return await self._paces.take_turn(
                self._entry, message.channel_id, chat_s=chat_s, account_s=pace.account
            )
        if not held.rests:
            return _NOW
        rest = await self._rests.find(self._entry)
        return _NOW if rest is None else PaceTurn(rest.seconds, has_rested=True)

    async def note_sent(self) -> None:
        """Something was sent, so the account works."""
        if self._has_rested:
            self._has_rested = False
            await self._rests.end(self._entry)


_NOW = PaceTurn(0.0)
