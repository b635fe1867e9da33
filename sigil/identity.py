"""Who a person is: platform identities, and the users who hold them.

An identity is a channel and the platform's own id for a person, compared exactly, case
included; never a display name. It belongs to at most one user; a user may hold many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from sigil.errors import ConfigError, IdentityTaken, UserNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable


Role = Literal["owner", "member"]
SessionMode = Literal["unified", "per_channel"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A person's name tag in one channel."""

    channel: str
    platform_id: str

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """Reads `channel:platform_id`, split at the first colon; None if it has no two parts."""
        channel, _, platform_id = text.partition(":")
        return cls(channel, platform_id) if channel and platform_id else None

    def __str__(self) -> str:
        return f"{self.channel}:{self.platform_id}"


@dataclass(frozen=True, slots=True)
class User:
    """A person whom Sigil knows, in every channel at once.

    `session_mode` says whether direct chats on several channels are one conversation
    (`unified`) or one for each channel (`per_channel`).
    """

    id: str
    name: str
    role: Role = "member"
    identities: tuple[Identity, ...] = ()
    session_mode: SessionMode = "unified"

    def __post_init__(self) -> None:
        object.__setattr__(self, "identities", tuple(self.identities))


class IdentityResolver:
    """From a platform's user id to the user who holds it."""

    def __init__(self, users: UserStore) -> None:
        self._users = users

    async def resolve(self, channel: str, platform_id: str) -> User:
        """Raises `UserNotFound` if nobody holds the identity, and `StoreError` if that
        could not be found out."""
        return await self._users.find(channel, platform_id)


class ConfiguredUsers:
    """A `UserStore` in which the people of the configuration come before the stored ones.

    A configured user cannot be replaced, and an identity that the configuration gives to
    someone is no longer anybody else's, whatever the store says.
    """

    def __init__(self, store: UserStore, users: Iterable[User]) -> None:
        """Raises `ConfigError` if an id or an identity is used twice."""
        self._store = store
        self._users: dict[str, User] = {}
        self._holders: dict[Identity, User] = {}
        for user in users:
            if user.id in self._users:
                raise ConfigError(f"users.{user.id}: this id is used twice.")
            self._users[user.id] = user
            for identity in user.identities:
                holder = self._holders.setdefault(identity, user)
                if holder is not user:
                    raise ConfigError(
                        f"users.{user.id}.identities: {identity} belongs to {holder.id} already."
                    )

    async def add(self, user: User) -> None:
        """Adds or replaces a stored user. Raises `IdentityTaken`; then nothing was written."""
        if user.id in self._users:
            raise IdentityTaken(
                f"user {user.id} is named in the configuration.",
                hint="Change it under `users:` there.",
            )
        for identity in user.identities:
            if identity in self._holders:
                raise taken(identity)
        await self._store.add(user)

    async def get(self, user_id: str) -> User:
        """Raises `UserNotFound`."""
        configured = self._users.get(user_id)
        return configured or self._without_configured(await self._store.get(user_id))

    async def find(self, channel: str, platform_id: str) -> User:
        """The user who holds this identity. Raises `UserNotFound`."""
        configured = self._holders.get(Identity(channel, platform_id))
        if configured is not None:
            return configured
        stored = await self._store.find(channel, platform_id)
        return self._users.get(stored.id) or self._without_configured(stored)

    async def all(self) -> list[User]:
        """The configured users, then the stored ones."""
        stored = [user for user in await self._store.all() if user.id not in self._users]
        return [*self._users.values(), *map(self._without_configured, stored)]

    def _without_configured(self, user: User) -> User:
        # Membership may be given to an identity, so a shadowed one must not count.
        kept = tuple(identity for identity in user.identities if identity not in self._holders)
        return user if len(kept) == len(user.identities) else replace(user, identities=kept)


def taken(identity: Identity) -> IdentityTaken:
    """The error that tells that another user holds `identity`; it does not name that user."""
    return IdentityTaken(
        f"another user holds {identity.channel} identity {identity.platform_id!r} already.",
        hint="Remove it from that user first.",
    )


def unknown_user(user_id: str) -> UserNotFound:
    """The error that tells that there is no user of this id."""
    return UserNotFound(f"there is no user {user_id!r}.", hint="Check the id under `users:`.")


def unknown_identity(identity: Identity) -> UserNotFound:
    """The error that tells that nobody holds `identity`."""
    return UserNotFound(
        f"no user holds {identity.channel} identity {identity.platform_id!r}.",
        hint="Add it to the user's `identities:` in the configuration, or pair the person.",
    )


class UserStore(Protocol):
    """Users and the identities they hold."""

    async def add(self, user: User) -> None:
        """Adds or replaces a user. Raises `IdentityTaken`; then nothing was written."""
        ...

    async def get(self, user_id: str) -> User:
        """Raises `UserNotFound`."""
        ...

    async def find(self, channel: str, platform_id: str) -> User:
        """The user who holds this identity, compared exactly. Raises `UserNotFound`."""
        ...

    async def all(self) -> list[User]: ...
