"""The lane: a FIFO of item ids per key, with a fenced lease.

The inbound lane of a chat, the lane of a session and the delivery lane of a destination
are this one thing. A worker takes a lane's lease, reads items at the head, and removes
them only by `commit`, which applies its effects in the same step and only while the
fencing token still holds. Redis keeps the truth and the time; a wake-up is a hint.

Keys are opaque and read `<stage>:<channel>:<keyed hash>`. All durations are seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sigil.effects import Effect, Push


class LaneKind(StrEnum):
    """The three hops of a message; the first word of a lane key."""

    INBOUND = "inbound"
    SESSION = "session"
    DELIVERY = "delivery"


def lane_kind(lane: str) -> LaneKind:
    """The stage that a lane key belongs to. Raises `ValueError` for a foreign key."""
    return LaneKind(lane.partition(":")[0])


def lane_id(lane: str) -> str:
    """The opaque last part of a lane key: in logs, the id of a chat, session or destination."""
    return lane.rpartition(":")[2]


# ---------------------------------------------------------------- effects (a closed set)


# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Pushed:
    """`duplicate`: the id was pushed before, and nothing was applied."""

    duplicate: bool
    wake: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An item at the head of a lane: its id and its record's fields."""

    id: str
    fields: Mapping[str, str]


class Refusal(StrEnum):
    """Why `take` granted nothing."""

    BUSY = "busy"
    PARKED = "parked"
    QUIET = "quiet"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Lease:
    """A granted lease. `strikes` counts takes after an expired lease or an error since
    the head last moved; the first `stop` items are to be stopped, not answered.
    `directory_version` is that of the stored overlay (see `sigil.directory`)."""

    lane: str
    token: int
    items: tuple[Item, ...]
    strikes: int = 0
    stop: int = 0
    journal: tuple[str, ...] = ()
    directory_version: int = 0


@dataclass(frozen=True, slots=True)
class Renewal:
    """The lease was extended; `stop` as in `Lease`."""

    stop: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """Applied. `wake` names the lanes to wake, this one included if more is waiting."""

    wake: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Swept:
    """Lanes to wake now, and in how many seconds the next one falls due (None: none is)."""

    wake: tuple[str, ...]
    next_due: float | None


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """A look from outside: `waiting` counts the items in the lane, held ones included."""

    waiting: int
    leased: bool


class Wakeups(Protocol):
    """Tells some worker to look at a lane. Never blocks, never fails: a lost wake-up is
    covered by the sweep."""

    def wake(self, lane: str) -> None: ...


class Lanes(Protocol):
    """The primitive. Each verb is one atomic step and safe to repeat."""

    async def key(self, stage: LaneKind, channel: str, *parts: str) -> str:
        """The opaque lane key for these parts, the same in every process."""
        ...

    async def item_id(self, *parts: str) -> str:
        """An opaque id derived from these parts, the same in every process."""
        ...

    async def push(self, push: Push, effects: Sequence[Effect] = ()) -> Pushed:
        """Appends and applies `effects`, unless the id was pushed before. LaneFull."""
        ...

    async def take(self, lane: str, nonce: str, *, ttl: float, limit: int) -> Lease | Refusal: ...

    async def renew(self, lane: str, token: int, *, ttl: float) -> Renewal:
        """Raises `LeaseLost`."""
        ...

    async def commit(
        self,
        lane: str,
        token: int,
        n: int,
        done: Sequence[str],
        effects: Sequence[Effect] = (),
        *,
        keep: bool = False,
    ) -> Commit:
        """Raises `LeaseLost`, `LaneFull` or `EffectRejected`; then nothing was applied."""
        ...

    async def park(
        self, lane: str, token: int, *, delay: float, strike: bool = False
    ) -> tuple[str, ...]:
        """Gives the lease back with the head kept; returns the lanes to wake. LeaseLost."""
        ...

    async def sweep(self, limit: int = 100) -> Swept: ...

    async def status(self, lane: str) -> LaneStatus: ...

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Per day (YYYY-MM-DD, UTC): accepted, duplicate, answered, refused, stopped, dead."""
        ...

    async def verify(self) -> Mapping[str, Any]:
        """Recounts the identity from lanes and records; see `sigil status --verify`."""
        ...


class Signals(Protocol):
    """Prompt word of a stop; best effort, `renew` is what counts."""

    def stops(self) -> AsyncIterator[str]:
        """Yields the keys of lanes for which a stop was asked, until cancelled."""
        ...
