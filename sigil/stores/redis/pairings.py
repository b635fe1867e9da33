"""Pairings in Redis: a hash per identity, and for each user the set of their pairings' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client


class RedisPairings:
    """A `PairingStore`; every method is one round trip."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def add(self, channel: str, platform_id: str, user_id: str) -> None:
        """Records that the user is let in. If another user had this pairing, it moves."""
        keys = [self._keys.pairing(channel, platform_id), self._keys.pairings_of(user_id)]
        await self._client.run_script("pair", keys=keys, args=[user_id])

    async def has(self, channel: str, platform_id: str) -> bool:
        """Whether the identity is let in."""
        return await self.user_of(channel, platform_id) is not None

    async def user_of(self, channel: str, platform_id: str) -> str | None:
        """The id of the user who holds the pairing; None if nobody does."""
        key = self._keys.pairing(channel, platform_id)
        user: Any = await self._client.call("HGET", key, "user")
        return None if user is None else user.decode()

    async def is_paired(self, user_id: str) -> bool:
        """Whether the user holds a pairing on any channel."""
        return bool(await self._client.call("EXISTS", self._keys.pairings_of(user_id)))

    async def remove(self, channel: str, platform_id: str) -> None:
        """Withdraws the permission. Does nothing if there was none."""
        await self._client.run_script("pair", keys=[self._keys.pairing(channel, platform_id)])
