"""What a commit does besides moving a lane: the closed set of effects, a unit of work.

    step ──▶ [Push(reply), WriteSession, CountUsage, Audit, Finish] ──▶ one commit, all or nothing

A step decides and returns effects; it writes nothing itself. The commit checks all of them before
its first write, since Redis undoes nothing, and applies them under the lane's fencing token. So a
worker that dies has done either everything or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sigil.identity.users import Identity, User


class Stage(StrEnum):
    """The four things that happen to a message, named by the gateway's verbs."""

    RECEIVE = "receive"
    ROUTE = "route"
    TURN = "turn"
    DELIVER = "deliver"


class Outcome(StrEnum):
    """How an accepted message ended. Each has exactly one, or is waiting or running.

    `FAILED`: no model answered, and the person was told so.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    REFUSED = "refused"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Limit:
    """How fast `sender` (an opaque id) may write: `burst` messages at once, and `per_minute` in the
    long run. What they write faster waits, at most `most_waiting` of it; the rest is refused."""

    sender: str
    per_minute: int
    burst: int
    most_waiting: int


@dataclass(frozen=True, slots=True)
class Push:
    """Appends item `id` to `lane` once, as long as its record lives, and merges `fields` into the
    record. A reply's record lives for a day after it was sent: a step that may push it again later
    than that must know by itself that it has.

    `cap` is the most items the lane may hold (0: no cap). `quiet` > 0 asks that the lane
    rests that long after this push, at most `quiet_max` after the first (coalescing). With the
    key of a `session`, the record notes as `epoch` which one of that conversation was running at
    the push.

    `limit` holds for a push to an inbound lane that is no part of a commit.
    """

    lane: str
    id: str
    fields: Mapping[str, str]
    cap: int = 0
    quiet: float = 0.0
    quiet_max: float = 0.0
    session: str = ""
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """Counts inbound item `id` as accepted today and dates its record."""

    id: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Lets `user` in: pairs them by `identity`, and if they are `new` stores them as its holder.
    If another user has become its holder, the commit raises `IdentityTaken`. `entry` names the
    configured channel that they are let in by, if it is not called like the identity's."""

    identity: Identity
    user: User
    new: bool
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Amend:
    """Replaces `fields` of item `id` in `lane`, whose sender has changed what they wrote. The
    commit is refused (`SessionStale`) if somebody holds that lane, or the item has ended."""

    id: str
    lane: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finish:
    """Ends item `id`: counts the outcome and cuts the record to the proof that it was handled.

    `keep_body` keeps the content for replay (dead letters)."""

    id: str
    outcome: Outcome
    keep_body: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """Ends outbound item `id`, whose receipts are kept for a day; `ok` is false for a dead one,
    whose content is kept too."""

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
    """Marks that a chat (an opaque id) was told that `lane` is full. It is as good as not told when
    the lane has been empty, or after five minutes."""

    lane: str
    chat: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Marks all that is in `lane` now as to be stopped; `renew` and `take` say so.

    With `waiting`, the lane must hold just so many items, and its holder must have this `token`
    (0: nobody holds it). Else the commit is refused as stale."""

    lane: str
    waiting: int | None = None
    token: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Gives `lane` a rest of so many `seconds`, because its head waits for a model; for the commit
    that gives the lane back. There is no rest if the wait was ended, or a stop was asked for, while
    the lane was in hand."""

    lane: str
    seconds: float


@dataclass(frozen=True, slots=True)
class EndWait:
    """Makes `lane` due at once if its head waits for a model. If it is in hand, it does not rest
    when this holder lets it wait. Other rests stay."""

    lane: str


@dataclass(frozen=True, slots=True)
class Move:
    """Moves all items of `lane`, in their order, to the end of `target`, a lane of the same kind;
    for a commit that handles none of them and gives the lane back."""

    lane: str
    target: str


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
class ReportKey:
    """Lets a report of the platform find chunk `index` of outbound item `id` for a day, by `key`,
    which is what the platform of this `account` (a configured entry) calls the chunk. A report that
    came before this is taken in now."""

    account: str
    key: str
    id: str
    index: int


@dataclass(frozen=True, slots=True)
class WriteSession:
    """All that a commit changes of one session: sets `fields` of its record (`epoch`, `model`, …),
    adds `amounts` to its counters, and appends JSON `messages` to the history of `session_id`,
    trimmed to the last `keep`.

    `version` is that of the record by which the writer decided. If the session has been written
    since, the commit is refused as stale.
    """

    session_key: str
    session_id: str
    version: int
    messages: Sequence[str] = ()
    keep: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CountUsage:
    """Adds integers (tokens, turns) to the user's and the workspace's usage of today."""

    user_id: str
    workspace_id: str
    amounts: Mapping[str, int]


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
    | Admit
    | Amend
    | Finish
    | Delivered
    | DeadLetter
    | Notice
    | Stop
    | Wait
    | EndWait
    | Move
    | Journal
    | Receipt
    | ReportKey
    | WriteSession
    | CountUsage
    | Audit
    | Show
)


class AuditStore(Protocol):
    """The newest 10,000 entries of the audit log."""

    async def add(self, entry: str) -> None:
        """Appends one entry, made by `encode_audit_entry`."""
        ...

    async def recent(self, limit: int = 100) -> list[str]:
        """The newest `limit` entries, the oldest of them first."""
        ...


def encode_audit_entry(what: str, **facts: Any) -> str:
    """Encodes one entry as JSON. The `facts` are JSON values, without message text or secrets."""
    return json.dumps({"what": what, **facts})
