"""The configuration as one immutable snapshot: people, workspaces, accounts, models, limits.

    sigil.yaml ──┐
                 ├─▶ Directory (version 7) ──▶ one step, from its start to its end
    overlay v7 ──┘

A step reads the snapshot once, at its start, and decides everything by it. The overlay is what
was granted at run time and is kept in the store. Its version comes with every lease that is
taken, so that noticing a newer one costs no round trip; only then the overlay is read again.
People who were paired, and pairings, are many and change often: they are looked up in the
store and never copied in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from sigil.config.schema.servers import GatewaySettings
from sigil.errors import ConfigError, StoreError
from sigil.identity.pairing import Door, PairingMode
from sigil.identity.users import Identity, People, Role, User
from sigil.lanes.leases import LeaseTerms
from sigil.providers.base import ModelInfo
from sigil.providers.order import ModelOrder
from sigil.workspace.manager import Binding, WorkspaceConfig, WorkspaceTable
from sigil.workspace.tool_policy import ToolPolicy

if TYPE_CHECKING:
    from sigil.channels.base import ChannelSpec
    from sigil.config import Settings
    from sigil.config.schema import (
        AgentSettings,
        BudgetSettings,
        ChannelSettings,
        LaneSettings,
        LimitSettings,
        ModelSettings,
        ProviderSettings,
        TimeoutSettings,
    )
    from sigil.money.budgets import Budgets
    from sigil.money.price_book import PriceBook
    from sigil.money.store import BudgetStore


MOST_MOVES = 4
"""A chat that has moved more often than this is not followed any further."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What was granted at run time, over the configuration; `version` rises with each change.

    `bindings` name the workspace of a chat, which is a channel and its id there; `memberships` are
    the further members of a workspace (user ids), `roles` those of stored users, and `grants`
    what a user may do besides their role. Where the configuration says something else, it wins.
    `moved` are chats that have another id by now: from the configured channel and the old id to the
    new one, and the day on which that was noticed.
    """

    version: int = 0
    bindings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    moved: Mapping[tuple[str, str], tuple[str, date]] = field(default_factory=dict)


class DirectoryStore(Protocol):
    """Keeps the overlay. Every lease that is taken tells its version. A version is never used
    twice, not even after a failover that lost one."""

    async def load(self) -> Overlay: ...

    async def save(self, overlay: Overlay, *, over: int | None = None) -> int:
        """Replaces the overlay and returns its new version; `overlay.version` is ignored. With
        `over`, only an overlay of that version is replaced; if there is another one, nothing is
        written and the answer is 0."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """One configured entry under `channels:`, by its name."""

    name: str
    mode: PairingMode
    allowlist: frozenset[str]
    refusal: str | None
    """What people who are refused are told; None: nothing."""
    holds_unknown: bool
    """A chunk that may have been sent before a crash is held back, not sent again."""
    long_as_file: int | None
    """A reply with more characters than this goes out as a file; None: none does."""
    coalesce: bool | None
    """Whether rapid messages are answered together; None: as the channel usually does."""
    prompt: str
    hears_all: bool = False
    """In groups it answers whatever is said, not only what is addressed to it."""
    answers_edits: bool = False
    """A message that was changed after its answer is answered again."""

    @classmethod
    def of(cls, name: str, settings: ChannelSettings) -> Account:
        return cls(
            name,
            PairingMode(settings.pairing),
            frozenset(settings.allowlist),
            settings.refusal,
            settings.on_unknown == "hold",
            settings.long_as_file,
            settings.coalesce,
            settings.prompt,
            settings.groups == "all",
            settings.edits == "answer",
        )

    def coalesces(self, spec: ChannelSpec) -> bool:
        """Whether rapid messages of one sender are answered together."""
        return spec.coalesce if self.coalesce is None else self.coalesce


@dataclass(frozen=True, slots=True)
class Token:
    """A token for the web page and the API, and the user whom it stands for. Only the gateway's
    configuration holds any."""

    user_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Directory:
    """Everything that a step decides by, frozen. Made by `Directory.of`."""

    version: int
    people: People
    workspaces: WorkspaceTable
    accounts: Mapping[str, Account]
    models: ModelOrder
    provider_names: tuple[str, ...]
    grants: Mapping[str, frozenset[str]]
    moved: Mapping[tuple[str, str], tuple[str, date]]
    agent: AgentSettings
    model_settings: ModelSettings
    budgets: BudgetSettings
    lanes: LaneSettings
    limits: LimitSettings
    timeouts: TimeoutSettings
    owner: User
    gateway: GatewaySettings
    tokens: tuple[Token, ...]
    _default_account: Account
    _settings: Settings

    @classmethod
    def of(
        cls,
        settings: Settings,
        overlay: Overlay | None = None,
        provider_names: tuple[str, ...] | None = None,
    ) -> Directory:
        """The snapshot of a configuration under an overlay. `provider_names` are those of the
        registry, where it knows more than the configuration. Raises `ConfigError`."""
        overlay = overlay or Overlay()
        people = People.of(_read_users(settings), overlay.roles)
        owner = _find_owner(people)
        workspaces = _read_workspaces(settings, overlay)
        return cls(
            version=overlay.version,
            people=people,
            workspaces=WorkspaceTable(workspaces),
            accounts={name: Account.of(name, each) for name, each in settings.channels.items()},
            models=ModelOrder(
                settings.models.default,
                tuple(settings.models.failover),
                {id: config.model for id, config in workspaces.items() if config.model},
                tuple(settings.models.allowed),
            ),
            provider_names=tuple(settings.providers) if provider_names is None else provider_names,
            grants=overlay.grants,
            moved=overlay.moved,
            agent=settings.agent,
            model_settings=settings.models,
            budgets=settings.budgets,
            lanes=settings.lanes,
            limits=settings.limits,
            timeouts=settings.timeouts,
            owner=owner,
            gateway=settings.gateway,
            tokens=tuple(_read_tokens(settings, owner.id)),
            _default_account=Account.of("", settings.policy("")),
            _settings=settings,
        )

    def account(self, name: str) -> Account:
        """The account of this name; one with all defaults if it is not configured."""
        return self.accounts.get(name, self._default_account)

    def find_chat(self, entry: str, channel_id: str) -> str:
        """The id that a chat of this account has by now."""
        for _ in range(MOST_MOVES):
            moved = self.moved.get((entry, channel_id))
            if moved is None:
                break
            channel_id = moved[0]
        return channel_id

    def door(self, name: str, spec: ChannelSpec) -> Door:
        """What an account says about letting people in."""
        account = self.account(name)
        return Door(account.mode, account.allowlist, spec.authenticated, self.people.users)

    def find_role(self, user_id: str) -> Role:
        """The role of a user, whether the configuration names them or not."""
        configured = self.people.users.get(user_id)
        return configured.role if configured else self.people.roles.get(user_id, "member")

    @property
    def providers(self) -> Mapping[str, ProviderSettings]:
        """What is configured of the model vendors, by their names."""
        return self._settings.providers

    @property
    def lease_terms(self) -> LeaseTerms:
        """How lanes are leased."""
        lanes = self.lanes
        return LeaseTerms(lanes.lease, lanes.renew, lanes.items_per_lease, lanes.seconds_per_lease)

    @cached_property
    def prices(self) -> PriceBook:
        """What models cost under this configuration."""
        from sigil.money.price_book import PriceBook

        return PriceBook(self._settings.providers)

    def find_model(self, name: str) -> ModelInfo | None:
        """What a model can do by its full name, as far as the configuration or a built-in
        catalogue says; None if neither does."""
        from sigil.providers.loading import find_builtin_model
        from sigil.providers.overrides import apply_overrides

        provider, _, model = name.partition("/")
        settings = self._settings.providers.get(provider)
        known = settings and find_builtin_model(provider, model, settings)
        if settings is None or (known is None and model not in settings.models):
            return None
        return apply_overrides(known or ModelInfo(model), settings.models)

    def open_budgets(self, store: BudgetStore) -> Budgets:
        """What may be spent under this configuration."""
        from sigil.money.budgets import Budgets

        return Budgets(store, self.prices, self._settings)


class LiveDirectory:
    """The newest snapshot of this process. `snapshot` makes one of an overlay."""

    def __init__(self, snapshot: Callable[[Overlay], Directory], store: DirectoryStore) -> None:
        self._snapshot = snapshot
        self._store = store
        self.current = snapshot(Overlay())

    async def read(self, version: int) -> Directory:
        """The snapshot for a step whose lease came with this version of the overlay.

        The overlay is loaded only if its version is another one than that at hand. A lower one
        counts too: a failover may have lost the last write, and the store tells what holds.
        Raises `StoreError`, transient, also for an overlay that cannot be used: no step may
        decide by grants that were perhaps taken back, and messages wait until it is mended.
        """
        if version != self.current.version:
            try:
                self.current = self._snapshot(await self._store.load())
            except ConfigError as error:
                raise StoreError(f"the stored grants cannot be used: {error.message}") from error
        return self.current


def _read_users(settings: Settings) -> list[User]:
    return [
        User(
            id=user_id,
            name=user.name or user_id,
            role=user.role,
            identities=tuple(filter(None, map(Identity.parse, user.identities))),
            session_mode=user.session_mode,
        )
        for user_id, user in settings.users.items()
    ]


def _find_owner(people: People) -> User:
    owner = next((user for user in people.users.values() if user.role == "owner"), None)
    if owner is None:
        raise ConfigError("users: nobody is the owner.", hint="Give one of them `role: owner`.")
    return owner


def _read_tokens(settings: Settings, owner_id: str) -> Iterator[Token]:
    if settings.gateway.token is not None:
        yield Token(owner_id, settings.gateway.token.get_secret_value().encode())
    for user_id, user in settings.users.items():
        if user.token is not None:
            yield Token(user_id, user.token.get_secret_value().encode())


def _read_workspaces(settings: Settings, overlay: Overlay) -> dict[str, WorkspaceConfig]:
    configs = {
        workspace_id: WorkspaceConfig(
            members=workspace.members,
            tools=ToolPolicy(workspace.tools.allow, workspace.tools.deny),
            bindings=[Binding(b.channel, b.channel_id, b.space) for b in workspace.bindings],
            model=workspace.model,
            prompt=workspace.prompt,
            context=workspace.context,
        )
        for workspace_id, workspace in settings.workspaces.items()
    }
    return _add_overlay(configs, overlay)


def _add_overlay(
    configs: dict[str, WorkspaceConfig], overlay: Overlay
) -> dict[str, WorkspaceConfig]:
    """Adds members and bindings to workspaces that are configured; a chat that the configuration
    binds stays where it is bound there."""
    bound = {binding for config in configs.values() for binding in config.bindings}
    for workspace_id, config in configs.items():
        members = [*config.members, *sorted(overlay.memberships.get(workspace_id, ()))]
        more = [
            Binding(*chat)
            for chat, target in overlay.bindings.items()
            if target == workspace_id and Binding(*chat) not in bound
        ]
        configs[workspace_id] = replace(config, members=members, bindings=[*config.bindings, *more])
    return configs
