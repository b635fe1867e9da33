"""The pauses between messages, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.paces import SHORT_WAIT_S, PaceTurn

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client


class RedisPaces:
    """A `Paces`. Each turn is one script."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def take_turn(
        self, entry: str, chat: str, *, chat_s: float, account_s: float
    ) -> PaceTurn:
        keys = self._client.keys
        named = keys.account_pace(entry), keys.chat_pace(entry, chat), keys.account_rest(entry)
        times = (round(1000 * each) for each in (chat_s, account_s, SHORT_WAIT_S))
        wait, has_rested = await self._client.run_script("take_turn", args=(*named, *times))
        return PaceTurn(int(wait) / 1000, has_rested == b"1")
