"""Workspaces: who is a member, which chats belong to them, which tools their agent has.

chat bound to homelab   member writes     → homelab
                        anybody else      → NotAMember
chat bound to nothing   known person      → personal, whose data is that person's alone
                        stranger          → NotAMember
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sigil.errors import ConfigError, NotAMember, UserNotFound, WorkspaceNotFound
from sigil.identity.scope import PERSONAL, workspace_scope
from sigil.identity.users import Identity
from sigil.messages.exchange import DEFAULT_ACCOUNT, find_entry
from sigil.workspace.memory import ScopedMemory, ScopedSessions, ScopedVectors
from sigil.workspace.tool_policy import ToolPolicy, is_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sigil.identity.pairing import PairingStore
    from sigil.identity.users import UserStore
    from sigil.messages.exchange import InboundMessage
    from sigil.sessions import SessionStore
    from sigil.workspace.memory import MemoryStore, VectorStore


@dataclass(frozen=True, slots=True)
class Binding:
    """A chat that belongs to a workspace. `channel` is the configured entry, `channel_id` the chat,
    or `*` for all chats there, maybe only those of a `space`."""

    channel: str
    channel_id: str
    space: str | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """What is configured of a workspace. `members` are user ids or `channel:platform_id`;
    `model` is `provider/model`. `context`: how many messages of a group, said to others, the
    model is told."""

    members: Sequence[str] = ()
    tools: ToolPolicy = field(default_factory=ToolPolicy)
    bindings: Sequence[Binding] = ()
    model: str | None = None
    prompt: str = ""
    context: int = 0


ANY_CHAT = "*"
NO_CONFIG = WorkspaceConfig()
"""The configuration of a workspace that has none: neither members nor tools."""


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """Who wrote in which chat. `user_id` is canonical. `paired`: the caller has just seen
    a pairing of this user, so that it need not be looked up again."""

    channel_type: str
    channel_id: str
    user_id: str
    paired: bool = False
    account: str = DEFAULT_ACCOUNT
    space: str | None = None


def request_route(message: InboundMessage, user_id: str, *, paired: bool = False) -> RouteRequest:
    """The question where a user's message belongs."""
    return RouteRequest(
        message.channel_type, message.channel_id, user_id, paired, message.account, message.space
    )


class Members:
    """A list of members, read once: as ids, and as the identities that some of them are."""

    __slots__ = ("_identities", "ids")

    def __init__(self, names: Iterable[str]) -> None:
        self.ids = frozenset(names)
        self._identities = frozenset(filter(None, map(Identity.parse, self.ids)))

    async def include(self, user_id: str, users: UserStore) -> bool:
        """Whether this user is one of them. Looks the user up only if identities are listed."""
        if user_id in self.ids:
            return True
        if not self._identities:
            return False
        try:
            user = await users.get(user_id)
        except UserNotFound:
            return False
        return not self._identities.isdisjoint(user.identities)


def _check_config(workspace_id: str, config: WorkspaceConfig) -> None:
    path = f"workspaces.{workspace_id}"
    if not workspace_id or workspace_id == PERSONAL:
        raise ConfigError(f"{path}: the id {workspace_id!r} is reserved.", hint="Choose another.")
    if not all(config.members):
        raise ConfigError(f"{path}.members: a member is empty.")
    for kind, patterns in (("allow", config.tools.allow), ("deny", config.tools.deny)):
        for pattern in patterns:
            if not is_pattern(pattern):
                raise ConfigError(
                    f"{path}.tools.{kind}: {pattern!r} is not a pattern.",
                    hint="Write segments between dots, each a name or `*`, as in `calendar.*`.",
                )


def _index_bindings(workspaces: Mapping[str, WorkspaceConfig]) -> dict[Binding, str]:
    index: dict[Binding, str] = {}
    for workspace_id, config in workspaces.items():
        for binding in config.bindings:
            if binding in index:
                raise ConfigError(
                    f"workspaces.{workspace_id}.bindings: {binding.channel} chat "
                    f"{binding.channel_id!r} is bound to {index[binding]!r} "
                    f"and to {workspace_id!r}.",
                    hint="A chat belongs to one workspace; remove one of the two.",
                )
            index[binding] = workspace_id
    return index


class WorkspaceTable:
    """All workspaces of one configuration; immutable."""

    def __init__(self, configs: Mapping[str, WorkspaceConfig]) -> None:
        """Raises `ConfigError` for a reserved id, an empty member, a bad tool pattern, or a chat
        that is bound twice."""
        for workspace_id, config in configs.items():
            _check_config(workspace_id, config)
        self.configs = dict(configs)
        self._bindings = _index_bindings(configs)
        self._members = {id: Members(config.members) for id, config in configs.items()}
        self.everyone = Members(m for config in configs.values() for m in config.members)

    def config(self, workspace_id: str) -> WorkspaceConfig:
        """The configuration of a workspace; an empty one if it has none."""
        return self.configs.get(workspace_id, NO_CONFIG)

    def members(self, workspace_id: str) -> Members:
        """The members of a workspace that is configured."""
        return self._members[workspace_id]

    def find_bound(self, channel: str, channel_id: str, space: str | None = None) -> str | None:
        """The id of the workspace that a chat is bound to, if it is bound. The more specific
        binding wins: the chat, then all chats of its space, then all of the entry."""
        bindings = self._bindings
        bound = bindings.get(Binding(channel, channel_id))
        if bound is None and space is not None:
            bound = bindings.get(Binding(channel, channel_id, space)) or bindings.get(
                Binding(channel, ANY_CHAT, space)
            )
        return bound or bindings.get(Binding(channel, ANY_CHAT))


EMPTY_TABLE = WorkspaceTable({})


class WorkspaceStores(Protocol):
    """The stores that a workspace needs."""

    @property
    def users(self) -> UserStore: ...
    @property
    def pairings(self) -> PairingStore: ...
    @property
    def sessions(self) -> SessionStore: ...
    @property
    def memory(self) -> MemoryStore: ...
    @property
    def vectors(self) -> VectorStore: ...


class Workspace:
    """An open workspace, made by `WorkspaceManager`; its configuration is read live.

    `scope` is the name under which the stores keep its data; effects of a turn (`CountUsage`)
    and session keys use it.
    """

    def __init__(self, manager: WorkspaceManager, workspace_id: str, scope: str) -> None:
        self._manager = manager
        self.id = workspace_id
        self.scope = scope
        self.sessions = ScopedSessions(manager.stores.sessions, scope)
        self.memory = ScopedMemory(manager.stores.memory, scope)
        self.vectors = ScopedVectors(manager.stores.vectors, scope)

    @property
    def config(self) -> WorkspaceConfig:
        """The configuration of now; an empty one if there is none (any more)."""
        return self._manager.table.config(self.id)

    def tool_allowed(self, name: str) -> bool:
        """Whether the policy of now lets the agent use this tool."""
        return self.config.tools.allows(name)


class WorkspaceManager:
    """The way from a chat to its workspace, and the workspaces that are open."""

    def __init__(
        self,
        stores: WorkspaceStores,
        read_table: Callable[[], WorkspaceTable] = lambda: EMPTY_TABLE,
    ) -> None:
        self.stores = stores
        self._read_table = read_table
        # One object for as long as anyone holds it; personal ones are as many as users.
        self._open: weakref.WeakValueDictionary[str, Workspace] = weakref.WeakValueDictionary()

    def configure(self, workspaces: Mapping[str, WorkspaceConfig]) -> None:
        """Replaces the whole configuration, also for workspaces that are open.

        Raises `ConfigError`; then the configuration stays as it was.
        """
        table = WorkspaceTable(workspaces)
        self._read_table = lambda: table

    @property
    def table(self) -> WorkspaceTable:
        """The configuration of now."""
        return self._read_table()

    async def open(self, workspace_id: str) -> Workspace:
        """The workspace of this id; one that is not configured has neither members nor tools.

        Raises `WorkspaceNotFound` for a personal one, which only `route` opens.
        """
        if not workspace_id or workspace_id == PERSONAL:
            raise WorkspaceNotFound(
                f"{workspace_id!r} is not the id of a shared workspace.",
                hint="A personal workspace is opened by writing in a chat that is not bound.",
            )
        return self._open_scope(workspace_id, workspace_scope(workspace_id))

    async def route(self, request: RouteRequest, table: WorkspaceTable | None = None) -> Workspace:
        """The workspace in which a user's message in a chat belongs.

        A step passes the `table` of its own snapshot; without one that of now decides. Raises
        `NotAMember` if the user may not speak there.
        """
        table = table or self.table
        entry = find_entry(request.channel_type, request.account)
        bound = table.find_bound(entry, request.channel_id, request.space)
        if bound is not None:
            if not await table.members(bound).include(request.user_id, self.stores.users):
                raise _not_a_member(request.user_id, f"workspace {bound!r}")
            return self._open_scope(bound, workspace_scope(bound))
        if not (request.user_id and await self._is_known(request, table)):
            raise _not_a_member(request.user_id, "any workspace and paired nowhere")
        return self._open_scope(PERSONAL, workspace_scope(PERSONAL, request.user_id))

    async def _is_known(self, request: RouteRequest, table: WorkspaceTable) -> bool:
        # The questions are in the order of their price: the first two ask nothing of the store.
        return (
            request.paired
            or request.user_id in table.everyone.ids
            or await self.stores.pairings.is_paired(request.user_id)
            or await table.everyone.include(request.user_id, self.stores.users)
        )

    def _open_scope(self, workspace_id: str, scope: str) -> Workspace:
        workspace = self._open.get(scope)
        if workspace is None:
            workspace = self._open[scope] = Workspace(self, workspace_id, scope)
        return workspace


def _not_a_member(user_id: str, where: str) -> NotAMember:
    return NotAMember(
        f"user {user_id!r} is not a member of {where}.",
        hint="The owner can add them to `members:` of a workspace.",
    )
