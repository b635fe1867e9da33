"""Who is heard on a channel: its pairing mode, and admission.

Each channel has one mode:

- `open`: everybody is heard.
- `closed`: the owner alone; neither being listed nor an earlier pairing admits.
- `allowlist`: the platform ids on the channel's list. The list alone decides: removing someone
  locks them out, even if a pairing was stored meanwhile.
- `pair_on_request`, `pair_with_code`: those with a stored pairing. A pairing admits only the
  user it was given to, so that an identity taken away from someone does not stay a way in.

In every mode the owner is heard, and in every mode but `closed` the people named in the
configuration. On a channel whose listener checks a token, the sender is a canonical user and
needs no pairing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from sigil.errors import UserNotFound
from sigil.identity.users import Identity, User

if TYPE_CHECKING:
    from collections.abc import Container

    from sigil.identity.users import UserStore
    from sigil.messages.exchange import InboundMessage


class PairingStore(Protocol):
    """Who was let in, and through which channel, by the name of its entry."""

    async def add(self, channel: str, platform_id: str, user_id: str) -> None: ...

    async def has(self, channel: str, platform_id: str) -> bool: ...

    async def user_of(self, channel: str, platform_id: str) -> str | None:
        """The id of the user to whom the pairing belongs; None if there is none."""
        ...

    async def is_paired(self, user_id: str) -> bool:
        """Whether the user holds a pairing on any channel."""
        ...

    async def remove(self, channel: str, platform_id: str) -> None: ...


class PairingMode(StrEnum):
    """How a channel lets people in."""

    OPEN = "open"
    CLOSED = "closed"
    ALLOWLIST = "allowlist"
    PAIR_ON_REQUEST = "pair_on_request"
    PAIR_WITH_CODE = "pair_with_code"


def check_pairing(mode: PairingMode, user_id: str, allowlist: Container[str]) -> bool:
    """Whether the mode alone lets a person be heard; `user_id` is the platform's.

    With `pair_on_request` this is always true, because anyone may ask. Admission takes more: see
    `admit`.
    """
    match PairingMode(mode):
        case PairingMode.OPEN | PairingMode.PAIR_ON_REQUEST:
            return True
        case PairingMode.ALLOWLIST:
            return user_id in allowlist
        case PairingMode.CLOSED | PairingMode.PAIR_WITH_CODE:
            return False


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a sender is heard. `user` is set whenever they are, and also for a known
    person who is not. `new_pairing`: no pairing lets this user in by this identity yet.
    `new_user`: the user was made for the identity, and is stored nowhere yet."""

    admitted: bool
    user: User | None = None
    new_pairing: bool = False
    new_user: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """What one channel says about letting people in; `allowlist` holds platform ids.

    `authenticated` as in `ChannelSpec`. `listed` holds the ids of the users named in
    the configuration.
    """

    mode: PairingMode
    allowlist: Container[str] = ()
    authenticated: bool = False
    listed: Container[str] = ()


async def admit(
    message: InboundMessage, door: Door, users: UserStore, pairings: PairingStore
) -> Admission:
    """Decides whether the sender of `message` is heard. Writes nothing: what is new is for the
    commit to store (the effect `Admit`). Costs one round trip, or two for a user who is not named
    in the configuration and writes on an authenticated channel. Raises `StoreError`.
    """
    identity = Identity(message.channel_type, message.sender_id)
    user, paired = await _look_up(identity, message.entry, door, users, pairings)
    heard = _is_heard_by_name(user, door) or _is_heard_by_mode(identity, door)
    is_paired = user is not None and paired == user.id
    if not heard and not (is_paired and _admits_by_pairing(door)):
        return Admission(False, user)
    is_new = user is None
    if user is None:
        name = message.sender_name or identity.platform_id
        user = User(derive_user_id(identity), name, identities=(identity,))
    return Admission(True, user, new_pairing=not is_paired, new_user=is_new)


def derive_user_id(identity: Identity) -> str:
    """The id of the user who is made for an identity: the same for the same identity."""
    exact = json.dumps([identity.channel, identity.platform_id]).encode()
    return f"usr-{hashlib.blake2b(exact, digest_size=16).hexdigest()}"


async def _look_up(
    identity: Identity, entry: str, door: Door, users: UserStore, pairings: PairingStore
) -> tuple[User | None, str | None]:
    """The sender, and the id of the user whom the pairing lets in."""
    if door.authenticated:
        try:
            user = await users.get(identity.platform_id)
        except UserNotFound:
            return None, None
        return user, await pairings.user_of(entry, identity.platform_id)
    found, paired = await users.find_paired(identity.channel, identity.platform_id, entry)
    # The configuration may name a person by the id that Sigil gave them, for instance to
    # promote them. That holds also where the store has lost, or never had, their record.
    own_id = derive_user_id(identity)
    if found is None and own_id in door.listed:
        found = await users.get(own_id)
    return found, paired


def _is_heard_by_name(user: User | None, door: Door) -> bool:
    if user is None:
        return False
    listed = user.id in door.listed and door.mode != PairingMode.CLOSED
    return door.authenticated or user.role == "owner" or listed


def _is_heard_by_mode(identity: Identity, door: Door) -> bool:
    # `check_pairing` says yes for `pair_on_request`, since anyone may ask; being heard takes more.
    if door.authenticated or door.mode == PairingMode.PAIR_ON_REQUEST:
        return False
    return check_pairing(door.mode, identity.platform_id, door.allowlist)


def _admits_by_pairing(door: Door) -> bool:
    by_pairing = (PairingMode.PAIR_ON_REQUEST, PairingMode.PAIR_WITH_CODE)
    return door.mode in by_pairing and not door.authenticated
