"""The lane: a FIFO of item ids per key, with a fenced lease. Every queue in Sigil is one.

    push ──▶ [ c b a ] ──▶ take: lease with token 7, items a and b
                           work, renew, work …
                           commit(token 7, done a and b, effects) ──▶ [ c ]

The inbound lane of a chat, the lane of a session and the delivery lane of a destination are this
one thing. A worker takes a lane's lease and reads the items at its head. It removes them only by
`commit`, which applies the effects of the work in the same atomic step.

*Fencing* makes this safe. A worker can be paused for a minute, lose its lease without noticing,
and then go on. Each grant of a lease has a higher token than the last one, and a commit with an
older token is refused whole: whatever the paused worker does, nothing of it is kept.

Redis holds the lanes and tells the time, since the clocks of two workers may differ. A wake-up is a
hint that a lane has work. When one is lost, the sweep finds the lane.

Keys are opaque and read `<kind>:<channel>:<keyed hash>`. All durations are seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sigil.lanes.effects import Effect, Push, Stage


class LaneKind(StrEnum):
    """What a lane carries; the first word of its key."""

    INBOUND = "inbound"
    SESSION = "session"
    DELIVERY = "delivery"

    @property
    def stage(self) -> Stage:
        """What is done with such a lane."""
        return _STAGES[self]


_STAGES = {
    LaneKind.INBOUND: Stage.ROUTE,
    LaneKind.SESSION: Stage.TURN,
    LaneKind.DELIVERY: Stage.DELIVER,
}


def lane_kind(lane: str) -> LaneKind:
    """The kind of lane that a key names. Raises `ValueError` for a foreign key."""
    return LaneKind(lane.partition(":")[0])


def lane_id(lane: str) -> str:
    """The opaque last part of a lane key: in logs, the id of a chat, session or destination."""
    return lane.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Pushed:
    """`duplicate`: the id was pushed before, and nothing was applied. `wake` names the lanes to
    wake, also for a duplicate that still waits: the first wake-up may have been lost.

    `refused`: the sender writes too much (`Limit`), so the item has ended as refused, and the other
    effects were applied; `first_refused`, since nothing of theirs waited."""

    duplicate: bool
    wake: tuple[str, ...] = ()
    refused: bool = False
    first_refused: bool = False


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
    SUSPECT = "suspect"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was granted. `strikes` counts the errors of the head, and the times that its
    lease was lost while it was its holder's only suspect. `suspect`: since the head last moved, the
    lane's lease was lost twice at least; a process may hold one such lane at a time. The first
    `stop` items are to be stopped, not answered. `directory_version` is that of the stored overlay
    (see `sigil.directory`). `again`: the head was in somebody's hands before, who neither finished
    it nor gave it back untouched; what that one did outside the store is unknown. `rests`: some
    account rests perhaps (see `sigil.channels.account_rests`)."""

    lane: str
    token: int
    items: tuple[Item, ...]
    strikes: int = 0
    stop: int = 0
    journal: tuple[str, ...] = ()
    directory_version: int = 0
    again: bool = False
    suspect: bool = False
    rests: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    """The lease was extended; `stop` as in `Lease`, after so many `commits` under this lease."""

    stop: int = 0
    commits: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that was applied. `wake` names the lanes to wake, this one too if more waits;
    `stop` as in `Lease`, counted from the head that the lane has now."""

    wake: tuple[str, ...] = ()
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """Lanes to wake now, and in how many seconds the next one falls due (None: none is).

    `quarantined` lanes cannot be worked on, since a key of theirs is of another type; it says
    which. Each is named once."""

    wake: tuple[str, ...]
    next_due: float | None
    quarantined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """How a lane looks from outside. `waiting` counts the items in it, those in hand included;
    `token` is that of its holder, 0 if nobody holds it. `waits` counts how often its head has
    waited for a model; if it waits for one now, it is tried again in `rest` seconds."""

    waiting: int
    token: int = 0
    waits: int = 0
    rest: float | None = None

    @property
    def leased(self) -> bool:
        return self.token > 0


class Wakeups(Protocol):
    """Tells some worker to look at a lane. Never blocks, never fails: a lost wake-up is
    covered by the sweep.

    `lanes_per_wakeup` is the most that one wake-up may name: what every live worker understands.
    """

    lanes_per_wakeup: int

    def wake(self, lane: str) -> None: ...

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        """The same for lanes that were woken before, and that the sweep may not find again for a
        while. No wake-up names more than `together` of them."""
        ...

    async def backlog(self, stage: Stage) -> int:
        """How many wake-ups wait in the queue of this stage. Raises `StoreError`."""
        ...


class Lanes(Protocol):
    """The primitive. Each verb is one atomic step and safe to repeat."""

    async def key(self, kind: LaneKind, channel: str, *parts: str) -> str:
        """The opaque lane key for these parts, the same in every process."""
        ...

    async def item_id(self, *parts: str) -> str:
        """An opaque id derived from these parts, the same in every process."""
        ...

    async def push(self, push: Push, effects: Sequence[Effect] = ()) -> Pushed:
        """Appends the item and applies `effects`, unless the id was pushed before. A push whose
        answer was lost may be sent twice, and is no duplicate of itself. Raises `LaneFull`; then
        nothing was applied."""
        ...

    async def take(
        self, lane: str, nonce: str, *, ttl: float, limit: int, suspect: bool = True
    ) -> Lease | Refusal:
        """Grants the lease for `ttl` seconds with at most `limit` items, or says why not. The
        same `nonce` gets its lease again, so that a lost answer can be asked for once more; and
        no other lease after that one has ended. Without `suspect` no suspect lane is granted: the
        taker has one in hand."""
        ...

    async def renew(self, lane: str, token: int, *, ttl: float) -> Renewal:
        """Extends the lease. Raises `LeaseLost`."""
        ...

    async def renew_together(
        self, leases: Sequence[tuple[str, int]], *, ttl: float
    ) -> Sequence[Renewal | None]:
        """Extends leases, named by lane and token, in one step; None for one that was lost."""
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
        """Removes the `done` items, which are at the head, and applies the effects, in one step.

        `n` counts the commits under this token, so that a repeat is recognised. The lease ends
        unless `keep` is true. Raises `LeaseLost`, `LaneFull`, `SessionStale`, `IdentityTaken` or
        `EffectRejected`; then nothing was applied.
        """
        ...

    async def park(
        self, lane: str, token: int, *, delay: float, strike: bool = False, begun: bool = False
    ) -> tuple[str, ...]:
        """Gives the lease back with the head kept; returns the lanes to wake. The lane is not
        taken before `delay` seconds are over, unless it is empty. With `begun`, who takes it next
        is told `again`; without, the head goes back untouched. Raises `LeaseLost`."""
        ...

    async def sweep(self, limit: int = 100, *, room: Mapping[LaneKind, int] | None = None) -> Swept:
        """Finds lanes whose time has come and that nobody holds, at most `limit`, and no more of a
        kind than there is room for. Each is put off for a while, so that the next sweep leaves it
        alone while its wake-up is under way. Lanes without room are set aside, so that they do not
        hide the others. A kind that `room` does not name has any room; lanes of unknown kinds are
        left to newer processes."""
        ...

    async def find_forgotten(self) -> Sequence[str]:
        """Looks for lanes that have work and that no sweep would ever find, and puts them back into
        the index. Each call looks at a part of all lanes."""
        ...

    async def status(self, lane: str) -> LaneStatus: ...

    async def list_waits(self) -> Sequence[float]:
        """For each conversation that waits for a model, in how many seconds it is tried again; the
        soonest first, 10,000 at most."""
        ...

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Per day (YYYY-MM-DD, UTC): accepted, duplicate, answered, failed, refused, stopped, dead;
        and of replies: replies (pushed), sent, undelivered."""
        ...

    async def verify(self, *, deep: bool = False) -> Mapping[str, Any]:
        """Compares the counts with what lies in lanes: `balanced`, `problems` (sentences), `days`.
        `deep` walks all records and adds `lost`: the items that are not where they should be."""
        ...


class Signals(Protocol):
    """Tells at once that a stop was asked for. Best effort: the next `renew` tells it too."""

    def stops(self) -> AsyncIterator[str]:
        """Yields the keys of lanes for which a stop was asked, until cancelled."""
        ...
