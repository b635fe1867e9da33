"""What running turns show in chats that have no event log: a draft, and that somebody is typing.

    agent worker ── write, at most once a second ──▶ record of the turn (token, revision, text)
    outbound     ── take_due, once a second ───────▶ those to be shown now ──▶ the platform
    delivery     ── end, before the answer ────────▶ which message the answer replaces

The record lives for 15 s and is written again while the turn runs, so nothing is shown of a turn
whose worker has died. What was shown of it is known for a day: whoever takes the turn over goes on
in the same message, and so does the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from sigil.messages.exchange import InboundMessage


@dataclass(frozen=True, slots=True)
class PresencePlace:
    """Where a turn shows itself: a chat of the account that is configured as `entry`, and the
    delivery lane of that chat. While something waits there, nothing is shown."""

    channel_type: str
    account: str
    entry: str
    channel_id: str
    thread_id: str | None
    is_direct: bool
    lane: str

    @classmethod
    def of(cls, message: InboundMessage, lane: str) -> PresencePlace:
        """The chat that a message came from."""
        return cls(
            message.channel_type,
            message.account,
            message.entry,
            message.channel_id,
            message.thread_id,
            message.is_direct,
            lane,
        )


class PresenceUpdate(NamedTuple):
    """What a turn shows from now on: all of its answer so far. A higher token (another worker's),
    or a higher revision under the same token, replaces it. With `is_over` it shows nothing more."""

    turn: str
    place: PresencePlace
    token: int
    revision: int
    text: str
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class DuePresence:
    """A turn that this process shows now, before anybody else may. `shown` is the platform's id of
    the message in which its draft is, and `is_new` whether the text is another one than there.
    `typing_ago` seconds ago it was shown that somebody types. `is_lost`: a first draft was perhaps
    sent, and nobody knows its id."""

    turn: str
    place: PresencePlace
    text: str
    token: int
    revision: int
    shown: str | None
    is_new: bool
    typing_ago: float
    is_lost: bool


@dataclass(frozen=True, slots=True)
class PresenceEnd:
    """What was shown of a turn: in the message `shown`, if there is one. For `seconds` more
    somebody may be about to show something yet."""

    shown: str | None
    seconds: float


class PresenceStore(Protocol):
    """Keeps what running turns show. Every method may raise `StoreError`."""

    async def write(self, updates: Sequence[PresenceUpdate]) -> None:
        """Replaces what turns show, unless that is newer, or the turn's answer is being sent."""
        ...

    async def take_due(self, limit: int, *, busy_s: float) -> list[DuePresence]:
        """The turns that are to be shown now, each to one process at a time and at most once a
        second. `busy_s`: nobody else shows it meanwhile, nor is its answer sent, unless it is
        noted sooner what came of it."""
        ...

    async def note_shown(
        self,
        presence: DuePresence,
        *,
        shown: str | None = None,
        is_typing: bool = False,
        is_lost: bool = False,
    ) -> None:
        """What came of showing it: the draft is in the message `shown`, or it was shown that
        somebody types, or neither."""
        ...

    async def end(self, turn: str) -> PresenceEnd:
        """The turn's answer is about to be sent: nothing more is shown. Safe to repeat, with the
        same answer for a day."""
        ...
