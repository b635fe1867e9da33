"""The configured channels, found by what messages carry: a type and an account.

    channels:                      channel_type   account
      telegram: {token: …}         telegram       default
      family: {type: telegram}     telegram       family
      mine: {type: my.spec:Mine}   mine           default      a plug-in's entry is its own type

A channel's spec is at hand in every process. Its sender and its listener are made on first use,
and only the roles that need them use them.
"""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, cast

from sigil.channels.base import AccountContext, Channel, ChannelSpec, Chunk, Listener, Sender
from sigil.channels.table import CHANNEL_TYPES, find_channel_type, make, read_options
from sigil.errors import ChannelNotFound
from sigil.http.fetch import Fetcher
from sigil.messages.exchange import DEFAULT_ACCOUNT, find_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.channels.base import ChannelType
    from sigil.channels.live import ChannelStores
    from sigil.config.schema import ChannelSettings
    from sigil.messages.exchange import InboundMessage, OutboundMessage


class ConfiguredChannel:
    """One entry under `channels:`; `name` is the entry's."""

    def __init__(
        self, kind: type[ChannelType], settings: ChannelSettings, context: AccountContext
    ) -> None:
        self.name = context.name
        self.channel_type = context.channel_type
        self.account = context.account
        self.spec = kind.spec
        self._kind = kind
        self._settings = settings
        self._context = context
        self._made: list[Sender | Listener] = []

    @cached_property
    def sender(self) -> Sender:
        """What sends to the account. Raises `ConfigError`."""
        return cast("Sender", self._make(self._kind.sender))

    @cached_property
    def listener(self) -> Listener | None:
        """What hears the account; None if nothing comes in by itself. Raises `ConfigError`."""
        target = self._kind.listener
        return None if target is None else cast("Listener", self._make(target))

    async def send(self, chunk: Chunk) -> str | None:
        """As `Sender.send`."""
        return await self.sender.send(chunk)

    async def close(self) -> None:
        """Closes what was made."""
        for each in self._made:
            await each.close()

    def _make(self, target: str) -> Any:
        settings = read_options(self.name, self._kind, self._settings)
        made = make(target, self._context, settings)
        self._made.append(made)
        return made


class GivenChannel:
    """A channel that somebody registered: anything with a name that can send."""

    def __init__(self, channel: Channel, channel_type: str, account: str) -> None:
        self.name = find_entry(channel_type, account)
        self.channel_type = channel_type
        self.account = account
        self.spec: ChannelSpec = getattr(channel, "spec", _DEFAULT_SPEC)
        self.sender = cast("Sender", channel)
        self.listener: Listener | None = (
            cast("Listener", channel) if hasattr(channel, "listen") else None
        )

    async def close(self) -> None:
        if hasattr(self.sender, "close"):
            await self.sender.close()


_DEFAULT_SPEC = ChannelSpec()
Entry = ConfiguredChannel | GivenChannel


class ChannelRouter:
    """The channels of a process."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All channels, in the order in which they were added."""
        return tuple(self._entries.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the entries."""
        return tuple(entry.name for entry in self._entries.values())

    def register(self, channel_type: str, channel: Channel, account: str = DEFAULT_ACCOUNT) -> None:
        """Adds a channel. A later registration replaces an earlier one."""
        self._entries[channel_type, account] = GivenChannel(channel, channel_type, account)

    def add(self, entry: ConfiguredChannel) -> None:
        """Adds a configured channel."""
        self._entries[entry.channel_type, entry.account] = entry

    def get(self, channel_type: str, account: str = DEFAULT_ACCOUNT) -> Channel:
        """The channel of this type and account, made on first use. Raises `ChannelNotFound`, which
        lists the known names."""
        return self.find(channel_type, account).sender

    def spec(self, channel_type: str, account: str = DEFAULT_ACCOUNT) -> ChannelSpec:
        """What the channel can do. Raises `ChannelNotFound`."""
        return self.find(channel_type, account).spec

    def spec_of(self, message: InboundMessage | OutboundMessage) -> ChannelSpec:
        """What the channel of a message can do. Raises `ChannelNotFound`."""
        return self.find(message.channel_type, message.account).spec

    def find(self, channel_type: str, account: str = DEFAULT_ACCOUNT) -> Entry:
        """The channel of this type and account. Raises `ChannelNotFound`."""
        found = self._entries.get((channel_type, account))
        if found is None and account == DEFAULT_ACCOUNT:
            # Messages of older versions carry the entry's name as their type.
            return self.find_entry(channel_type)
        return found or self._refuse(find_entry(channel_type, account))

    def find_entry(self, name: str) -> Entry:
        """The channel that is configured under this name. Raises `ChannelNotFound`."""
        for entry in self._entries.values():
            if entry.name == name:
                return entry
        return self._refuse(name)

    def _refuse(self, name: str) -> NoReturn:
        known = ", ".join(sorted(self.names)) or "none"
        raise ChannelNotFound(
            f"no channel named {name!r} is configured (known: {known}).",
            hint="Add it under `channels:` in the configuration.",
        )

    async def send(self, message: OutboundMessage) -> str | None:
        """Sends as one chunk, at once, without lanes and receipts. Returns the platform's id.

        Raises `ChannelNotFound`, `SendFailed` or `SendRefused`.
        """
        channel = self.get(message.channel_type, message.account)
        return await channel.send(Chunk(id=uuid.uuid4().hex, message=message))


def load_channel(
    name: str,
    settings: ChannelSettings,
    stores: ChannelStores,
    public_url: str | None = None,
    allow_private: Sequence[str] = (),
) -> ConfiguredChannel:
    """The channel that is configured under `name`; `public_url` is the gateway's, `allow_private`
    the network's. Raises `ConfigError` naming the bad key."""
    kind = find_channel_type(name, settings)
    channel_type, account = find_address(name, settings)
    hook_url = None if public_url is None else f"{public_url.rstrip('/')}/hooks/{name}"
    context = AccountContext(name, channel_type, account, stores, hook_url, Fetcher(allow_private))
    return ConfiguredChannel(kind, settings, context)


def find_address(name: str, settings: ChannelSettings) -> tuple[str, str]:
    """The type and the account that messages of this entry carry."""
    kind = settings.type or name
    if kind not in CHANNEL_TYPES:  # a plug-in, whose name says nothing about its platform's ids
        return name, DEFAULT_ACCOUNT
    return kind, DEFAULT_ACCOUNT if kind == name else name
