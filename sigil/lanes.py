"""The lane: a FIFO of item ids per key, with a fenced lease.

The inbound lane of a chat, the lane of a session and the delivery lane of a destination
are this one thing. A worker takes a lane's lease, reads items at the head, and removes
them only by `commit`, which applies its effects in the same step and only while the
fencing token still holds. Redis keeps the truth and the time; a wake-up is a hint.

Keys are opaque and read `<stage>:<channel>:<keyed hash>`. All durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Stage(StrEnum):
    """The three hops of a message; the first word of a lane key."""

    INBOUND = "inbound"
    SESSION = "session"
    DELIVERY = "delivery"


def stage_of(lane: str) -> Stage:
    """The stage that a lane key belongs to. Raises `ValueError` for a foreign key."""
    return Stage(lane.partition(":")[0])


def id_of(lane: str) -> str:
    """The opaque last part of a lane key: in logs, the id of a chat, session or destination."""
    return lane.rpartition(":")[2]


class Outcome(StrEnum):
    """How an accepted message ended. Each has exactly one, or is waiting or running."""

    ANSWERED = "answered"
    REFUSED = "refused"
    STOPPED = "stopped"
    DEAD = "dead"


# ---------------------------------------------------------------- effects (a closed set)


@dataclass(frozen=True, slots=True)
class Push:
    """Appends item `id` to `lane` once, ever, and merges `fields` into its record.

    `cap` is the most items the lane may hold (0: no cap). `quiet` > 0 asks that the lane
    rests that long after this push, at most `quiet_max` after the first (coalescing).
    """

    lane: str
    id: str
    fields: Mapping[str, str]
    cap: int = 0
    quiet: float = 0.0
    quiet_max: float = 0.0


@dataclass(frozen=True, slots=True)
class Accept:
    """Counts inbound item `id` as accepted today and dates its record."""

    id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Ends item `id`: counts the outcome, drops the record's bulk, keeps the proof.

    `keep_body` keeps the content for replay (dead letters)."""

    id: str
    outcome: Outcome
    keep_body: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """Ends outbound item `id`; `ok` is false for a dead one, whose content is kept."""

    id: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Records that item `id` failed for good at `stage`, and why (no secrets, no text)."""

    id: str
    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Marks that the sender was told that `lane` is full; a later push clears it."""

    lane: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Marks all that is in `lane` now as to be stopped; `renew` and `take` say so."""

    lane: str


@dataclass(frozen=True, slots=True)
class Journal:
    """Appends one JSON entry to the journal of the turn that holds `lane`."""

    lane: str
    entry: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The state of chunk `index` of outbound item `id`, as one JSON object."""

    id: str
    index: int
    state: str


@dataclass(frozen=True, slots=True)
class AppendHistory:
    """Appends JSON messages to a session's history, trimmed to the last `keep`."""

    session_key: str
    session_id: str
    messages: Sequence[str]
    keep: int


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """Sets fields of a session's record (`epoch`, `model`, …)."""

    session_key: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CountUsage:
    """Adds integers (tokens, calls) to the session's and the user's usage of today."""

    session_key: str
    user_id: str
    workspace_id: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Remember:
    """Appends JSON entries to a workspace's memory, capped at 1,000."""

    workspace_id: str
    entries: Sequence[str]


@dataclass(frozen=True, slots=True)
class Audit:
    """Appends one JSON entry to the audit log, capped."""

    entry: str


@dataclass(frozen=True, slots=True)
class Show:
    """Appends a JSON event to the log of a live chat once per `event_id`."""

    chat: str
    event_id: str
    entry: str


Effect = (
    Push
    | Accept
    | Finish
    | Delivered
    | DeadLetter
    | Notice
    | Stop
    | Journal
    | Receipt
    | AppendHistory
    | UpdateSession
    | CountUsage
    | Remember
    | Audit
    | Show
)

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
    the head last moved; the first `stop` items are to be stopped, not answered."""

    lane: str
    token: int
    items: tuple[Item, ...]
    strikes: int = 0
    stop: int = 0
    journal: tuple[str, ...] = ()


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

    async def key(self, stage: Stage, channel: str, *parts: str) -> str:
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
