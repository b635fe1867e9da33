"""Who a person is: platform identities, and the users who hold them.

    telegram:42 ─┐
    slack:T1:U7 ─┴─▶ user `ann`

An identity is a channel and the platform's own id for a person, compared exactly, case
included; never a display name. It belongs to at most one user; a user may hold many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, Self

from sigil.errors import ConfigError, IdentityTaken, UserNotFound

if TYPE_CHECKING:
    from sigil.messages.exchange import InboundMessage

Role = Literal["owner", "member"]
SessionMode = Literal["unified", "per_channel"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A person's name tag in one channel."""

    channel: str
    platform_id: str

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """Reads `channel:platform_id`, split at the first colon; None if a part is missing."""
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


@dataclass(frozen=True, slots=True)
class DirectChat:
    """A chat between one person and Sigil: the platform's ids, and the account it came in by."""

    channel: str
    account: str
    chat_id: str
    thread_id: str | None = None

    @classmethod
    def of(cls, message: InboundMessage) -> Self:
        """The chat that a direct message came in by."""
        return cls(message.channel_type, message.account, message.channel_id, message.thread_id)


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

    async def find_paired(
        self, channel: str, platform_id: str, entry: str | None = None
    ) -> tuple[User | None, str | None]:
        """Who holds this identity, and the id of the user whom its pairing lets in (see
        `PairingStore`), in one round trip; None for what there is not. The pairing is that of the
        configured `entry`; not given: the one that is called like the channel."""
        ...

    async def all(self) -> list[User]: ...

    async def note_direct_chat(self, user_id: str, chat: DirectChat) -> None:
        """Remembers where the user wrote last, in a chat of their own."""
        ...

    async def find_direct_chat(self, user_id: str) -> DirectChat | None:
        """Where the user wrote last; None if that is not known."""
        ...


class IdentityResolver:
    """From a platform's user id to the user who holds it."""

    def __init__(self, users: UserStore) -> None:
        self._users = users

    async def resolve(self, channel: str, platform_id: str) -> User:
        """Raises `UserNotFound` if nobody holds the identity, and `StoreError` if the store
        could not tell."""
        return await self._users.find(channel, platform_id)


@dataclass(frozen=True, slots=True)
class People:
    """The users of a configuration by id, and who holds which identity. `roles` are given to
    stored users besides, by user id."""

    users: Mapping[str, User] = field(default_factory=dict)
    holders: Mapping[Identity, User] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)

    @classmethod
    def of(cls, users: Iterable[User], roles: Mapping[str, Role] | None = None) -> People:
        """Raises `ConfigError` if an id or an identity is used twice."""
        by_id: dict[str, User] = {}
        holders: dict[Identity, User] = {}
        for user in users:
            if user.id in by_id:
                raise ConfigError(f"users.{user.id}: this id is used twice.")
            by_id[user.id] = user
            for identity in user.identities:
                holder = holders.setdefault(identity, user)
                if holder is not user:
                    raise ConfigError(
                        f"users.{user.id}.identities: {identity} belongs to {holder.id} already."
                    )
        return cls(by_id, holders, roles or {})


class ConfiguredUsers:
    """A `UserStore` in which the people of the configuration come before the stored ones.

    A configured user cannot be replaced. An identity that the configuration gives to someone
    belongs to nobody else, whatever the store says. `read_people` is asked at each call.
    """

    def __init__(self, store: UserStore, read_people: Callable[[], People]) -> None:
        self.store = store
        self._read_people = read_people

    async def add(self, user: User) -> None:
        """Adds or replaces a stored user. Raises `IdentityTaken`; then nothing was written."""
        people = self._read_people()
        if user.id in people.users:
            raise IdentityTaken(
                f"user {user.id} is named in the configuration.",
                hint="Change it under `users:` there.",
            )
        for identity in user.identities:
            if identity in people.holders:
                raise refuse_identity(identity)
        await self.store.add(user)

    async def get(self, user_id: str) -> User:
        """Raises `UserNotFound`."""
        people = self._read_people()
        configured = people.users.get(user_id)
        return configured or _overlay_user(await self.store.get(user_id), people)

    async def find(self, channel: str, platform_id: str) -> User:
        """The user who holds this identity. Raises `UserNotFound`."""
        people = self._read_people()
        configured = people.holders.get(Identity(channel, platform_id))
        if configured is not None:
            return configured
        stored = await self.store.find(channel, platform_id)
        return people.users.get(stored.id) or _overlay_user(stored, people)

    async def find_paired(
        self, channel: str, platform_id: str, entry: str | None = None
    ) -> tuple[User | None, str | None]:
        """As in `UserStore`."""
        people = self._read_people()
        stored, paired = await self.store.find_paired(channel, platform_id, entry)
        user = people.holders.get(Identity(channel, platform_id))
        if user is None and stored is not None:
            user = people.users.get(stored.id) or _overlay_user(stored, people)
        return user, paired

    async def note_direct_chat(self, user_id: str, chat: DirectChat) -> None:
        """As in `UserStore`."""
        await self.store.note_direct_chat(user_id, chat)

    async def find_direct_chat(self, user_id: str) -> DirectChat | None:
        """As in `UserStore`."""
        return await self.store.find_direct_chat(user_id)

    async def all(self) -> list[User]:
        """The configured users, then the stored ones."""
        people = self._read_people()
        stored = [user for user in await self.store.all() if user.id not in people.users]
        return [*people.users.values(), *(_overlay_user(user, people) for user in stored)]


def _overlay_user(user: User, people: People) -> User:
    # Membership may be given to an identity, so an identity that the configuration gives to
    # somebody else must not count here.
    kept = tuple(identity for identity in user.identities if identity not in people.holders)
    role = people.roles.get(user.id, user.role)
    if len(kept) == len(user.identities) and role == user.role:
        return user
    return replace(user, identities=kept, role=role)


def refuse_identity(identity: Identity) -> IdentityTaken:
    """The error for an identity that another user holds; it does not say who."""
    return IdentityTaken(
        f"another user holds {identity.channel} identity {identity.platform_id!r} already.",
        hint="Remove it from that user first.",
    )


def describe_unknown_user(user_id: str) -> UserNotFound:
    """The error for an id that no user has."""
    return UserNotFound(f"there is no user {user_id!r}.", hint="Check the id under `users:`.")


def describe_unknown_identity(identity: Identity) -> UserNotFound:
    """The error for an identity that nobody holds."""
    return UserNotFound(
        f"no user holds {identity.channel} identity {identity.platform_id!r}.",
        hint="Add it to the user's `identities:` in the configuration, or pair the person.",
    )
