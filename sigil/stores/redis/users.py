"""Users and their identities in Redis.

A user is a hash: `data` (JSON) and `held` (the keys of the identities, so that a script
can free them). The key of an identity holds the key of its user.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sigil.errors import CommandRefused
from sigil.identity.users import (
    DirectChat,
    Identity,
    User,
    describe_unknown_identity,
    describe_unknown_user,
    refuse_identity,
)
from sigil.records import keep_known, read_record

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

_BATCH = 500


class RedisUsers:
    """A `UserStore`. Every method is one round trip, and `all` is one for every 500 users."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def add(self, user: User) -> None:
        """Adds or replaces a user in one step. Raises `IdentityTaken` if another user holds one of
        the identities; then nothing was written."""
        identities = tuple(dict.fromkeys(user.identities))
        held = [self._keys.identity(each.channel, each.platform_id) for each in identities]
        clash = await self._client.run_script(
            "add_user",
            keys=[self._keys.user(user.id), self._keys.users(), *held],
            args=[user.id, encode_user(user), json.dumps(held)],
        )
        if clash:
            raise refuse_identity(identities[int(clash) - 1])

    async def get(self, user_id: str) -> User:
        """Raises `UserNotFound`."""
        data: Any = await self._client.call("HGET", self._keys.user(user_id), "data")
        if data is None:
            raise describe_unknown_user(user_id)
        return _decode_user(data)

    async def find(self, channel: str, platform_id: str) -> User:
        """The user who holds this identity, compared exactly. Raises `UserNotFound`."""
        user, _ = await self.find_paired(channel, platform_id)
        if user is None:
            raise describe_unknown_identity(Identity(channel, platform_id))
        return user

    async def find_paired(
        self, channel: str, platform_id: str, entry: str | None = None
    ) -> tuple[User | None, str | None]:
        """Who holds this identity, and the id of the user whom its pairing lets in."""
        keys = self._keys
        identity = keys.identity(channel, platform_id)
        pairing = keys.pairing(entry or channel, platform_id)
        data, paired = await self._client.run_script("find_user", keys=[identity, pairing])
        user = None if data is None else _decode_user(data)
        return user, None if paired is None else paired.decode()

    async def note_direct_chat(self, user_id: str, chat: DirectChat) -> None:
        """Remembers where the user wrote last."""
        fields = [chat.channel, chat.account, chat.chat_id, chat.thread_id]
        await self._client.call("SET", self._keys.direct_chat(user_id), json.dumps(fields))

    async def find_direct_chat(self, user_id: str) -> DirectChat | None:
        """Where the user wrote last; None if that is not known."""
        known = await self._client.call("GET", self._keys.direct_chat(user_id))
        return None if known is None else DirectChat(*json.loads(known)[:4])

    async def all(self) -> list[User]:
        """Every user, by id."""
        with self._client.guard():
            members: Any = await self._client.redis.smembers(self._keys.users())
            ids = sorted(members)
            records: list[Any] = []
            for start in range(0, len(ids), _BATCH):
                async with self._client.redis.pipeline(transaction=False) as pipe:
                    for raw in ids[start : start + _BATCH]:
                        pipe.hget(self._keys.user(raw.decode()), "data")
                    records += await pipe.execute()
        return [_decode_user(data) for data in records if data is not None]


def encode_user(user: User) -> str:
    """A user's record as JSON. A role and a session mode that most people have are left out."""
    fields: dict[str, Any] = {
        "id": user.id,
        "name": user.name,
        "identities": [[each.channel, each.platform_id] for each in user.identities],
    }
    if user.role != "member":
        fields["role"] = user.role
    if user.session_mode != "unified":
        fields["session_mode"] = user.session_mode
    return json.dumps(fields, separators=(",", ":"))


def _decode_user(data: bytes) -> User:
    """The inverse of `encode_user`. Unknown fields are ignored. Raises `CommandRefused`, since
    it stays malformed, and `RecordTooNew`."""
    try:
        fields = read_record(data)
        fields["identities"] = tuple(Identity(*pair) for pair in fields["identities"])
        return User(**keep_known(User, fields))
    except (ValueError, TypeError, KeyError) as error:
        raise CommandRefused("a user's record is malformed.") from error
