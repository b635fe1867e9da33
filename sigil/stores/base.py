"""What the core keeps, one small protocol per concern.

Every method may raise `StoreError` (the backend did not answer), which never means
"not found".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sigil.lanes import Lanes

if TYPE_CHECKING:
    from sigil.identity import User


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


class PairingStore(Protocol):
    """Who was let in, and through which channel."""

    async def add(self, channel: str, platform_id: str, user_id: str) -> None: ...

    async def has(self, channel: str, platform_id: str) -> bool: ...

    async def user_of(self, channel: str, platform_id: str) -> str | None:
        """The id of the user to whom the pairing belongs; None if there is none."""
        ...

    async def is_paired(self, user_id: str) -> bool:
        """Whether the user holds a pairing on any channel."""
        ...

    async def remove(self, channel: str, platform_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The running session of one conversation.

    `key` names the conversation and stays; `id` changes with /new. `messages` are JSON,
    oldest first. Token counts are of this session alone.
    """

    key: str
    id: str
    epoch: int = 0
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    messages: tuple[str, ...] = ()


class SessionStore(Protocol):
    """Sessions; written only by a turn's commit (effects), or `append` outside of turns."""

    async def load(self, session_key: str) -> SessionRecord:
        """The current session with its history; a fresh one if there is none yet."""
        ...

    async def append(self, session_key: str, messages: Sequence[str], *, keep: int) -> None: ...


class MessageStore(Protocol):
    """The records of items: what was accepted or sent, by item id."""

    async def get(self, item_id: str) -> Mapping[str, str] | None: ...

    async def dead(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """The newest dead letters: id, stage, reason, at (seconds since the epoch)."""
        ...


class MemoryStore(Protocol):
    """The last 1,000 messages of a workspace, searchable by words."""

    async def add(self, workspace_id: str, entries: Sequence[str]) -> None: ...

    async def recent(self, workspace_id: str, limit: int = 50) -> list[str]: ...

    async def search(self, workspace_id: str, query: str, limit: int = 10) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Match:
    """A vector found by cosine similarity; `score` is in [-1, 1]."""

    id: str
    score: float
    payload: str


class VectorStore(Protocol):
    """Vectors of one length per workspace, bounded in number and length."""

    async def put(
        self, workspace_id: str, id: str, vector: Sequence[float], payload: str = ""
    ) -> None: ...

    async def search(
        self, workspace_id: str, vector: Sequence[float], limit: int = 10
    ) -> list[Match]: ...

    async def delete(self, workspace_id: str, id: str) -> None: ...


class AuditStore(Protocol):
    """What was done, by whom; the newest entries."""

    async def add(self, entry: str) -> None: ...

    async def recent(self, limit: int = 100) -> list[str]: ...


MOST_MICRO_USD = 10**12
"""The largest amount in a budget: a million dollars."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one scope may spend per hour and per day (UTC), in micro-dollars; None: no limit.

    `scope` is `session`, `user`, `workspace` or `all`; `subject` is the session's key, the
    user's id, the workspace's id, or empty for `all`.
    """

    scope: str
    subject: str = ""
    hour: int | None = None
    day: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A reservation that did not fit: of the windows that have no room the one that has room
    again last, what is left in it and what was spent there (micro-dollars; the rest of the limit
    is reserved by others), and in how many seconds it resets."""

    scope: str
    subject: str
    window: str
    limit: int
    left: int
    resets_in: float
    spent: int


@dataclass(frozen=True, slots=True)
class Spending:
    """One window of one scope, in micro-dollars. `window` is `hour` or `day`."""

    scope: str
    subject: str
    window: str
    spent: int
    reserved: int
    resets_in: float


class BudgetStore(Protocol):
    """What was used, and what may still be spent. Amounts are integers in micro-dollars.

    Windows are those of the store's clock; a reservation belongs to the windows in which it was
    made, whenever it is settled.
    """

    async def reserve(
        self, id: str, limits: Sequence[Limit], want: int, least: int, *, ttl: float
    ) -> int | Refused:
        """Sets aside as much of `want` as every scope has room for, if that is at least
        `least`; all scopes or none. The same `id` is granted the same again. After `ttl`
        seconds without `settle` it counts as spent."""
        ...

    async def settle(self, id: str, spent: int) -> None:
        """Replaces the reservation by what was spent. One that was settled, or that expired,
        stays as it is."""
        ...

    async def expire(self, limit: int = 100) -> int:
        """Settles reservations whose time is over at their full amount; says how many."""
        ...

    async def spending(self, limits: Sequence[Limit]) -> list[Spending]:
        """The running hour and day of each of these scopes, in order."""
        ...

    async def subjects(self, scope: str, limit: int = 100) -> list[str]:
        """Who has spent something in this scope today, the latest first."""
        ...

    async def usage(self, scope: str, subject: str, day: str) -> Mapping[str, int]:
        """Counters (`input_tokens`, `output_tokens`, `turns`) of a `user` or `workspace`
        on a day (YYYY-MM-DD, UTC); empty if nothing was used."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """A model may be called with this key. A `probe` is the one call in the cluster that finds
    out whether it works again; `token` is its fencing token."""

    provider: str
    model: str
    key: str
    probe: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A model rests under one key, or under all keys that were asked for.

    `reason` is the class of the failure; `seconds` are what is left; `failures` counts those in
    a row; `probing` says that the time is over and somebody is finding out.
    """

    provider: str
    model: str
    key: str
    reason: str
    seconds: float
    failures: int = 1
    probing: bool = False


class HealthStore(Protocol):
    """What all workers learned about (provider, key, model). Keys are named by fingerprints."""

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None, token: str
    ) -> Admission | Cooldown:
        """Chooses a key that does not rest: that of the session if it has one, else the next in
        turn. If all rest, the cooldown that ends first. `token` names a probe, if it is one."""
        ...

    async def look(self, provider: str, model: str, keys: Sequence[str]) -> Cooldown | None:
        """As `admit`, without choosing, counting or probing; None: it may be called."""
        ...

    async def failed(
        self,
        admission: Admission,
        reason: str,
        steps: Sequence[float],
        rest: float | None = None,
    ) -> Cooldown:
        """Lets it rest for the step (seconds) of this failure in a row, or for `rest` instead.
        A row is of failures with the same steps. Those of calls that ran side by side count
        once. `reason` is one word."""
        ...

    async def answered(self, admission: Admission) -> None:
        """It works: a probe ends the cooldown and the count of failures. No other call has
        anything to end, and for those nothing is asked of the backend."""
        ...

    async def release(self, admission: Admission) -> None:
        """Gives a probe back without a result: the next one may try."""
        ...

    async def renew(self, admission: Admission) -> None:
        """Keeps a probe that takes long."""
        ...

    async def resting(self) -> list[Cooldown]:
        """Everything that rests, or waits for a probe."""
        ...

    async def reset(self, provider: str | None = None, model: str | None = None) -> int:
        """Forgets cooldowns: all, a provider's, or a model's. Says how many."""
        ...


@dataclass(frozen=True, slots=True)
class ChatEventRecord:
    """One entry of a live chat's log; `id` orders it and serves as the SSE id."""

    id: str
    data: Mapping[str, Any]


class ChatStore(Protocol):
    """The event logs of live chats (web page, terminal) and a user's list of them.

    A chat is named `<channel>:<chat id>`. Event data is a JSON object with a `type`:
    `user` (text, message_id), `reply` (text, turn, chunk, final) or `draft`
    (turn, token, revision, text: all of the answer so far).
    """

    async def show(self, chat: str, event_id: str, data: Mapping[str, Any]) -> None:
        """Appends an event once per `event_id`; a `reply` removes its turn's draft."""
        ...

    async def draft(self, chat: str, turn: str, token: int, revision: int, text: str) -> bool:
        """Replaces the turn's draft; False if a newer token or revision, or its reply,
        is there already."""
        ...

    async def read(
        self, chat: str, after: str = "0-0", *, block: float = 0.0
    ) -> list[ChatEventRecord]:
        """Events after an id, oldest first; waits up to `block` seconds for one."""
        ...

    async def touch(self, user_id: str, channel: str, chat_id: str, title: str) -> None:
        """Puts the chat at the top of the user's list; the first title stays."""
        ...

    async def list(self, user_id: str, channel: str) -> list[Mapping[str, Any]]:
        """The user's chats, newest first: id, title, at (seconds since the epoch)."""
        ...

    async def owner(self, channel: str, chat_id: str) -> str | None:
        """The user to whom the chat belongs, once it was touched."""
        ...


class Signals(Protocol):
    """Prompt word of a stop; best effort, `renew` is what counts."""

    def stops(self) -> AsyncIterator[str]:
        """Yields the keys of lanes for which a stop was asked, until cancelled."""
        ...


class CounterStore(Protocol):
    """Sums over all processes, for metrics; a bounded set of names."""

    async def add(self, amounts: Mapping[str, int]) -> None: ...

    async def read(self) -> Mapping[str, int]: ...


@dataclass(frozen=True)
class Stores:
    """Every store over one backend. Made by `sigil.stores.connect(url)` or
    `sigil.testing.fake_stores()`; opens its connections on first use."""

    users: UserStore
    pairings: PairingStore
    sessions: SessionStore
    messages: MessageStore
    memory: MemoryStore
    vectors: VectorStore
    audit: AuditStore
    lanes: Lanes
    budgets: BudgetStore
    health: HealthStore
    chats: ChatStore
    signals: Signals
    counters: CounterStore
    backend: Backend


class Backend(Protocol):
    """The connection behind the stores."""

    async def ping(self) -> None:
        """Raises `StoreError` when the backend does not answer."""
        ...

    async def warnings(self) -> list[str]:
        """Settings of the server that may lose or evict data, as sentences."""
        ...

    async def close(self) -> None: ...
