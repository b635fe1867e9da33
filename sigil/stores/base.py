"""All stores in one bundle.

Each store is a small protocol that stands beside its concern: `UserStore` beside `User`, for
example. Every method of every store may raise `StoreError`, which means that the backend did not
answer. It never means "not found".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sigil.blobs.base import BlobStore
from sigil.channels.account_leases import AccountLeases
from sigil.channels.account_rests import AccountRests
from sigil.channels.live import ChatStore
from sigil.channels.notes import NoteStore
from sigil.channels.paces import Paces
from sigil.channels.presences import PresenceStore
from sigil.directory import DirectoryStore
from sigil.gate import GroupStore
from sigil.identity.pairing import PairingStore
from sigil.identity.users import UserStore
from sigil.lanes.effects import AuditStore
from sigil.lanes.fleet import FleetStore
from sigil.lanes.lane import Lanes, Signals
from sigil.messages.exchange import MessageStore
from sigil.metrics import CounterStore
from sigil.money.store import BudgetStore
from sigil.providers.chain.health_store import HealthStore
from sigil.sessions import SessionStore
from sigil.workspace.memory import MemoryStore, VectorStore


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
    directory: DirectoryStore
    lanes: Lanes
    budgets: BudgetStore
    health: HealthStore
    blobs: BlobStore
    chats: ChatStore
    notes: NoteStore
    signals: Signals
    counters: CounterStore
    fleet: FleetStore
    accounts: AccountLeases
    groups: GroupStore
    account_rests: AccountRests
    paces: Paces
    presences: PresenceStore
    backend: Backend


@dataclass(frozen=True, slots=True)
class Memory:
    """What the server uses, and the most that it may use (0: no limit is set), in bytes. Beyond
    nine tenths of that it `takes_messages` no more; what was accepted is still answered."""

    used: int
    limit: int
    takes_messages: bool


class Backend(Protocol):
    """The connection behind the stores."""

    async def ping(self) -> None:
        """Raises `StoreError` if the backend does not answer."""
        ...

    async def check_start(self) -> None:
        """Raises `ConfigError` if no process may begin to work on this server: it is one of a
        cluster, or the installation's key is lost. Raises `StoreError` if it does not answer."""
        ...

    async def check_room(self) -> None:
        """Raises the `StoreError` with which a new message would be refused now, such as
        `StoreFull` or `StoreReadOnly`."""
        ...

    async def read_memory(self) -> Memory:
        """How full the server is. Raises `StoreError`."""
        ...

    async def list_warnings(self) -> list[str]:
        """What about the server may lose or evict data, or end it, as sentences."""
        ...

    async def close(self) -> None:
        """Closes all connections."""
        ...
