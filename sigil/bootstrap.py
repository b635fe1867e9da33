"""The one place that chooses concrete classes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sigil.blobs.file import FileBlobs
from sigil.channels import table as channel_table
from sigil.channels.base import Channel
from sigil.channels.router import ChannelRouter, find_address, load_channel
from sigil.directory import Directory, LiveDirectory
from sigil.errors import ConfigError
from sigil.gateway import Gateway
from sigil.http.fetch import Fetcher
from sigil.identity.users import ConfiguredUsers
from sigil.lanes.effects import Stage
from sigil.lanes.lane import Wakeups
from sigil.outbound.delivery import Delivery
from sigil.routing import Routing
from sigil.workspace.manager import WorkspaceManager

if TYPE_CHECKING:
    from sigil.agent.loop import Agent
    from sigil.config import Settings
    from sigil.config.schema import ProviderSettings
    from sigil.providers.base import Provider
    from sigil.providers.registry import ProviderRegistry
    from sigil.stores.base import Stores


class NoWakeups:
    """For processes and tests that look at every lane themselves, or leave it to the sweep."""

    lanes_per_wakeup = 1

    def wake(self, lane: str) -> None:
        """Tells nobody."""

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        """Tells nobody."""

    async def backlog(self, stage: Stage) -> int:
        """Nothing waits."""
        return 0


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
    stores = stores or _connect_stores(settings)
    names = tuple(sorted({*settings.providers, *(providers or {})}))
    snapshot = partial(Directory.of, settings, provider_names=names)
    directory = LiveDirectory(snapshot, stores.directory)
    stored_users = stores.users
    if isinstance(stored_users, ConfiguredUsers):  # stores that another gateway was built over
        stored_users = stored_users.store
    users = ConfiguredUsers(stored_users, lambda: directory.current.people)
    stores = replace(stores, users=users)
    router = _load_channels(settings, stores, channels or {})
    workspaces = WorkspaceManager(stores, lambda: directory.current.workspaces)
    registries: list[ProviderRegistry] = []

    def make_agent() -> Agent:
        from sigil.agent.attachments import FileGiver
        from sigil.agent.loop import Agent
        from sigil.money.limits import check_prices

        models = make_registry(settings, providers, stores)
        registries.append(models)
        prices = directory.current.prices
        if settings.providers.keys() - {"echo"}:
            prices.load()  # half a second, which no turn should wait for
        check_prices(settings, prices)
        files = FileGiver(stores.blobs, Fetcher(settings.network.allow_private))
        return Agent(stores, workspaces, router, models, files)

    async def close() -> None:
        for models in registries:
            await models.aclose()
        await asyncio.shield(stores.backend.close())

    return Gateway(
        stores=stores,
        directory=directory,
        channels=router,
        routing=Routing(stores, stored_users, workspaces, router),
        agent=make_agent,
        delivery=Delivery(router, stores),
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
        channel_table.find_channel_type(name, channel_settings)


def check_models(settings: Settings) -> None:
    """Raises `ConfigError` for providers or models that no turn could use, and for models without
    a known price where dollars are limited."""
    from sigil.money.limits import check_prices
    from sigil.money.price_book import PriceBook

    make_registry(settings)
    check_prices(settings, PriceBook(settings.providers))


def make_registry(
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
        provider = given.get(name) or load(name, _add_hint(name, configured, settings))
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


def _connect_stores(settings: Settings) -> Stores:
    from sigil.host.valkey_address import find_store_url
    from sigil.stores import connect

    stores = connect(
        find_store_url(settings),
        prefix=settings.redis.prefix,
        retention_days=settings.retention_days,
    )
    if settings.blobs.store == "file":
        stores = replace(stores, blobs=FileBlobs(settings.data_dir / "blobs"))
    return stores


def _load_channels(
    settings: Settings, stores: Stores, given: Mapping[str, Channel]
) -> ChannelRouter:
    router = ChannelRouter()
    for name, channel_settings in settings.channels.items():
        if name not in given:
            outside = (settings.gateway.public_url, settings.network.allow_private)
            router.add(load_channel(name, channel_settings, stores, *outside))
    for name, channel in given.items():
        channel_type, account = find_address(name, settings.policy(name))
        router.register(channel_type, channel, account)
    return router


def _add_hint(name: str, provider: ProviderSettings, settings: Settings) -> ProviderSettings:
    """Tells people who get the echo, because no model is configured, how to get a real one."""
    if name != "echo" or settings.models.default.partition("/")[0] != "echo":
        return provider
    return provider.model_copy(update={"options": {"hint": True, **provider.options}})
