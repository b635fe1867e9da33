"""Workspaces: who is a member, which chats belong to them, which tools their agent has.

A chat that is bound belongs to its workspace, and only members may speak there. Any other
chat is `personal`: its data is the user's alone.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sigil.errors import ConfigError, NotAMember, UserNotFound, WorkspaceNotFound
from sigil.identity import Identity
from sigil.scope import PERSONAL, scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sigil.memory import Match, MemoryStore, VectorStore
    from sigil.sessions import SessionRecord, SessionStore
    from sigil.stores.base import Stores


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Which tools an agent may use: `allow` lists them, `deny` wins; no `allow`, no tool.

    Names are compared exactly. In a pattern the segment `*` stands for one or more
    dot-separated segments: `calendar.*` is `calendar.create`, not `calendar`.
    """

    allow: Sequence[str] = ()
    deny: Sequence[str] = ()

    def allows(self, name: str) -> bool:
        """False also for a name that is empty or has an empty segment."""
        segments = name.split(".")
        if not all(segments):
            return False
        return _any_matches(self.allow, segments) and not _any_matches(self.deny, segments)


@dataclass(frozen=True, slots=True)
class Binding:
    """A chat that belongs to a workspace; `channel_id` is the chat."""

    channel: str
    channel_id: str


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """What is configured of a workspace. `members` are user ids or `channel:platform_id`;
    `model` is `provider/model`."""

    members: Sequence[str] = ()
    tools: ToolPolicy = field(default_factory=ToolPolicy)
    bindings: Sequence[Binding] = ()
    model: str | None = None
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """Who wrote in which chat. `user_id` is canonical. `paired`: the caller has just seen
    a pairing of this user, so that it need not be looked up again."""

    channel_type: str
    channel_id: str
    user_id: str
    paired: bool = False


@dataclass(frozen=True, slots=True)
class ScopedSessions:
    """The sessions of one scope; `name` says which."""

    _store: SessionStore
    _scope: str

    async def load(self, name: str) -> SessionRecord:
        """The current session with its history; a fresh one if there is none yet."""
        return await self._store.load(f"{self._scope}/{name}")

    async def append(self, name: str, messages: Sequence[str], *, keep: int) -> None:
        """Appends JSON messages, trimmed to the last `keep`; not for turns."""
        await self._store.append(f"{self._scope}/{name}", messages, keep=keep)


@dataclass(frozen=True, slots=True)
class ScopedMemory:
    """The memory of one scope; see `MemoryStore`."""

    _store: MemoryStore
    _scope: str

    async def add(self, entries: Sequence[str]) -> None:
        """Appends JSON entries; the oldest go beyond the cap."""
        await self._store.add(self._scope, entries)

    async def recent(self, limit: int = 50) -> list[str]:
        """The newest entries, oldest of them first."""
        return await self._store.recent(self._scope, limit)

    async def search(self, query: str, limit: int = 10) -> list[str]:
        """Entries that have words of the query, the best first."""
        return await self._store.search(self._scope, query, limit)


@dataclass(frozen=True, slots=True)
class ScopedVectors:
    """The vectors of one scope; see `VectorStore`."""

    _store: VectorStore
    _scope: str

    async def put(self, id: str, vector: Sequence[float], payload: str = "") -> None:
        """Adds or replaces a vector. Raises `EffectRejected` for one over a bound."""
        await self._store.put(self._scope, id, vector, payload)

    async def search(self, vector: Sequence[float], limit: int = 10) -> list[Match]:
        """The nearest vectors by cosine, nearest first."""
        return await self._store.search(self._scope, vector, limit)

    async def delete(self, id: str) -> None:
        """Removes a vector, if it is there."""
        await self._store.delete(self._scope, id)


class Workspace:
    """An open workspace, made by `WorkspaceManager`; its configuration is read live.

    `scope` is the name under which the stores keep its data: effects of a turn
    (`CountUsage`) and session keys use it.
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
        return self._manager.config(self.id)

    def tool_allowed(self, name: str) -> bool:
        """Whether the policy of now lets the agent use this tool."""
        return self.config.tools.allows(name)


class WorkspaceManager:
    """All workspaces of a configuration, and the way from a chat to one of them."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._configs: dict[str, WorkspaceConfig] = {}
        self._members: dict[str, _Members] = {}
        self._bindings: dict[Binding, str] = {}
        self._everyone = _Members(())
        # One object for as long as anyone holds it; personal ones are as many as users.
        self._open: weakref.WeakValueDictionary[str, Workspace] = weakref.WeakValueDictionary()

    def configure(self, workspaces: Mapping[str, WorkspaceConfig]) -> None:
        """Replaces the whole configuration, also for workspaces that are open.

        Raises `ConfigError`; then the configuration stays as it was.
        """
        for workspace_id, config in workspaces.items():
            _check(workspace_id, config)
        bindings = _bindings(workspaces)
        self._configs, self._bindings = dict(workspaces), bindings
        self._members = {name: _Members(config.members) for name, config in workspaces.items()}
        self._everyone = _Members(
            member for config in workspaces.values() for member in config.members
        )

    def config(self, workspace_id: str) -> WorkspaceConfig:
        """The configuration of a workspace; an empty one if it has none."""
        return self._configs.get(workspace_id, _NOTHING)

    async def open(self, workspace_id: str) -> Workspace:
        """The workspace of this id; one that is not configured has neither members nor tools.

        Raises `WorkspaceNotFound` for a personal one, which only `route` opens.
        """
        if not workspace_id or workspace_id == PERSONAL:
            raise WorkspaceNotFound(
                f"{workspace_id!r} is not the id of a shared workspace.",
                hint="A personal workspace is opened by writing in a chat that is not bound.",
            )
        return self._workspace(workspace_id, scope(workspace_id))

    async def route(self, request: RouteRequest) -> Workspace:
        """The workspace in which a user's message in a chat belongs.

        Raises `NotAMember` if the user may not speak there.
        """
        bound = self._bindings.get(Binding(request.channel_type, request.channel_id))
        if bound is not None:
            if not await self._is_member(request.user_id, self._members[bound]):
                raise _not_a_member(request.user_id, f"workspace {bound!r}")
            return self._workspace(bound, scope(bound))
        if not (request.user_id and await self._belongs_somewhere(request)):
            raise _not_a_member(request.user_id, "any workspace and paired nowhere")
        return self._workspace(PERSONAL, scope(PERSONAL, request.user_id))

    async def _belongs_somewhere(self, request: RouteRequest) -> bool:
        return (
            request.paired
            or request.user_id in self._everyone.ids
            or await self.stores.pairings.is_paired(request.user_id)
            or await self._is_member(request.user_id, self._everyone)
        )

    async def _is_member(self, user_id: str, members: _Members) -> bool:
        if user_id in members.ids:
            return True
        if not members.identities:
            return False
        try:
            user = await self.stores.users.get(user_id)
        except UserNotFound:
            return False
        return not members.identities.isdisjoint(user.identities)

    def _workspace(self, workspace_id: str, name: str) -> Workspace:
        workspace = self._open.get(name)
        if workspace is None:
            workspace = self._open[name] = Workspace(self, workspace_id, name)
        return workspace


_NOTHING = WorkspaceConfig()


class _Members:
    """A list of members, read once: as ids, and as the identities that some of them are."""

    __slots__ = ("identities", "ids")

    def __init__(self, names: Iterable[str]) -> None:
        self.ids = frozenset(names)
        self.identities = frozenset(filter(None, map(Identity.parse, self.ids)))


def _not_a_member(user_id: str, where: str) -> NotAMember:
    return NotAMember(
        f"user {user_id!r} is not a member of {where}.",
        hint="The owner can add them to `members:` of a workspace.",
    )


def _any_matches(patterns: Sequence[str], segments: Sequence[str]) -> bool:
    return any(_matches(pattern.split("."), segments) for pattern in patterns)


def _matches(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    # `ends` holds how many segments the pattern so far can have used up; going through it
    # once keeps a pattern of many stars from taking exponential time.
    ends = {0}
    for part in pattern:
        if part == "*":
            ends = set(range(min(ends) + 1, len(segments) + 1)) if ends else ends
        else:
            ends = {n + 1 for n in ends if n < len(segments) and segments[n] == part}
    return len(segments) in ends


def _check(workspace_id: str, config: WorkspaceConfig) -> None:
    path = f"workspaces.{workspace_id}"
    if not workspace_id or workspace_id == PERSONAL:
        raise ConfigError(f"{path}: the id {workspace_id!r} is reserved.", hint="Choose another.")
    if not all(config.members):
        raise ConfigError(f"{path}.members: a member is empty.")
    for kind, patterns in (("allow", config.tools.allow), ("deny", config.tools.deny)):
        for pattern in patterns:
            # Taken literally, `exec*` would deny nothing without a word.
            if not all(part and (part == "*" or "*" not in part) for part in pattern.split(".")):
                raise ConfigError(
                    f"{path}.tools.{kind}: {pattern!r} is not a pattern.",
                    hint="Write segments between dots, each a name or `*`, as in `calendar.*`.",
                )


def _bindings(workspaces: Mapping[str, WorkspaceConfig]) -> dict[Binding, str]:
    found: dict[Binding, str] = {}
    for workspace_id, config in workspaces.items():
        for binding in config.bindings:
            if binding in found:
                raise ConfigError(
                    f"workspaces.{workspace_id}.bindings: {binding.channel} chat "
                    f"{binding.channel_id!r} is bound to {found[binding]!r} "
                    f"and to {workspace_id!r}.",
                    hint="A chat belongs to one workspace; remove one of the two.",
                )
            found[binding] = workspace_id
    return found
