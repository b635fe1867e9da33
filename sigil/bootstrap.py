"""The one place that chooses concrete classes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.channels import router as channel_table
from sigil.channels.base import Channel
from sigil.channels.router import ChannelRouter
from sigil.errors import ConfigError
from sigil.gateway import Gateway
from sigil.identity import ConfiguredUsers, Identity, User
from sigil.lanes import Wakeups
from sigil.outbound.delivery import Delivery
from sigil.routing import Routing
from sigil.workspace import Binding, ToolPolicy, WorkspaceConfig, WorkspaceManager

if TYPE_CHECKING:
    from sigil.agent.turn import Agent
    from sigil.config import Settings
    from sigil.config.models import ProviderSettings
    from sigil.providers.base import Provider
    from sigil.providers.registry import ProviderRegistry
    from sigil.stores.base import Stores


class NoWakeups:
    """For processes and tests that look at every lane themselves, or leave it to the sweep."""

    def wake(self, lane: str) -> None:
        """Tells nobody."""


def build(
    settings: Settings,
    stores: Stores | None = None,
    providers: Mapping[str, Provider] | None = None,
    channels: Mapping[str, Channel] | None = None,
    wakeups: Wakeups | None = None,
) -> Gateway:
    """A gateway over the configuration; what is given stands in for what it names.

    Synchronous, needs no running loop and opens no connection. Given `providers` and
    `channels` are added to the configured ones. Raises `ConfigError`.
    """
    stores = stores or _stores(settings)
    users = ConfiguredUsers(stores.users, _users(settings))
    stores = replace(stores, users=users)
    router = _channels(settings, stores, channels or {})
    workspaces = WorkspaceManager(stores)
    workspaces.configure(_workspaces(settings))
    registries: list[ProviderRegistry] = []

    def agent() -> Agent:
        from sigil.agent.turn import Agent
        from sigil.money.budgets import Budgets, check_prices
        from sigil.money.pricing import PriceBook

        models = registry(settings, providers, stores)
        registries.append(models)
        prices = PriceBook(settings.providers)
        if settings.providers.keys() - {"echo"}:
            prices.load()  # half a second, which no turn should wait for
        check_prices(settings, prices)
        budgets = Budgets(stores.budgets, prices, settings)
        return Agent(stores, workspaces, router, models, budgets, settings)

    async def close() -> None:
        for models in registries:
            await models.aclose()
        await asyncio.shield(stores.backend.close())

    return Gateway(
        settings=settings,
        stores=stores,
        channels=router,
        routing=Routing(stores, users, workspaces, router, settings),
        agent=agent,
        delivery=Delivery(router, settings),
        wakeups=wakeups or NoWakeups(),
        close=close,
    )


def check(settings: Settings, role: str | None = None) -> None:
    """Raises `ConfigError` for what a process of this role (None: any) could not start with.
    Opens no connection and imports no SDK."""
    check_channels(settings)
    if role in {None, "agent"}:
        check_models(settings)


def check_channels(settings: Settings) -> None:
    """Raises `ConfigError` for a channel whose type cannot be found."""
    for name, channel_settings in settings.channels.items():
        channel_table.find(name, channel_settings)


def check_models(settings: Settings) -> None:
    """Raises `ConfigError` for providers or models that no turn could use, and for models without
    a known price where dollars are limited."""
    from sigil.money.budgets import check_prices
    from sigil.money.pricing import PriceBook

    registry(settings)
    check_prices(settings, PriceBook(settings.providers))


def _stores(settings: Settings) -> Stores:
    from sigil.host import embedded
    from sigil.stores import connect

    url = settings.redis.url
    return connect(
        url.get_secret_value() if url is not None else embedded.url(settings.data_dir),
        prefix=settings.redis.prefix,
        retention_days=settings.retention_days,
    )


def _users(settings: Settings) -> list[User]:
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


def _workspaces(settings: Settings) -> dict[str, WorkspaceConfig]:
    return {
        workspace_id: WorkspaceConfig(
            members=workspace.members,
            tools=ToolPolicy(workspace.tools.allow, workspace.tools.deny),
            bindings=[Binding(b.channel, b.channel_id) for b in workspace.bindings],
            model=workspace.model,
            prompt=workspace.prompt,
        )
        for workspace_id, workspace in settings.workspaces.items()
    }


def _channels(settings: Settings, stores: Stores, given: Mapping[str, Channel]) -> ChannelRouter:
    router = ChannelRouter()
    for name, channel_settings in settings.channels.items():
        if name not in given:
            router.register(name, channel_table.load(name, channel_settings, stores))
    for name, channel in given.items():
        router.register(name, channel)
    return router


def registry(
    settings: Settings,
    given: Mapping[str, Provider] | None = None,
    stores: Stores | None = None,
) -> ProviderRegistry:
    """The configured providers and models, and those given. With stores it knows which models
    rest. Opens no connection and imports no SDK. Raises `ConfigError`."""
    from sigil.providers.chain.health import Health
    from sigil.providers.loading import load
    from sigil.providers.registry import ProviderRegistry

    given = given or {}
    health = None if stores is None else Health(stores.health, settings.models.cooldowns)
    registry = ProviderRegistry(health)
    for name, configured in settings.providers.items():
        provider = given.get(name) or load(name, _with_hint(name, configured, settings))
        registry.register(name, provider, models=configured.models)
    for name in given.keys() - settings.providers.keys():
        registry.register(name, given[name])
    try:
        registry.set_default(settings.models.default)
        registry.set_failover(settings.models.failover)
        for workspace_id, workspace in settings.workspaces.items():
            registry.set_override(workspace_id, workspace.model)
    except ConfigError as error:
        raise ConfigError(f"models: {error.message}", hint=error.hint) from error
    return registry


def _with_hint(name: str, provider: ProviderSettings, settings: Settings) -> ProviderSettings:
    """Whoever is answered by the echo, for want of a model, is told how to get a real one."""
    if name != "echo" or settings.models.default.partition("/")[0] != "echo":
        return provider
    return provider.model_copy(update={"options": {"hint": True, **provider.options}})
