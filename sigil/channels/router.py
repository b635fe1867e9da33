"""Finds a channel by its name, and a channel's class by its type."""

from __future__ import annotations

import uuid
from importlib import import_module
from typing import TYPE_CHECKING, cast

from sigil.channels.base import Channel, Chunk
from sigil.errors import ChannelNotFound, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sigil.channels.live import ChannelStores
    from sigil.config.schema import ChannelSettings
    from sigil.messages.exchange import OutboundMessage

    ChannelFactory = Callable[[str, ChannelSettings, ChannelStores], Channel]

CHANNEL_TYPES = {
    "memory": "sigil.channels.memory:MemoryChannel",
    "terminal": "sigil.channels.terminal:TerminalChannel",
    "web": "sigil.channels.web:WebChannel",
}
"""From a type's name to its `package.module:Class`, which is loaded on first use and called with
the channel's name, its settings and the stores."""


class ChannelRouter:
    """The configured channels by name."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The registered names, in the order of registration."""
        return tuple(self._channels)

    def register(self, name: str, channel: Channel) -> None:
        """Adds the channel under this name. A later registration replaces an earlier one."""
        self._channels[name] = channel

    def get(self, name: str) -> Channel:
        """The channel of this name. Raises `ChannelNotFound`, which lists the known names."""
        try:
            return self._channels[name]
        except KeyError:
            known = ", ".join(sorted(self._channels)) or "none"
            raise ChannelNotFound(
                f"no channel named {name!r} is configured (known: {known}).",
                hint="Add it under `channels:` in the configuration.",
            ) from None

    async def send(self, message: OutboundMessage) -> str | None:
        """Sends as one chunk, at once, without lanes and receipts. Returns the platform's id.

        Raises `ChannelNotFound`, `SendFailed` or `SendRefused`.
        """
        channel = self.get(message.channel_type)
        return await channel.send(Chunk(id=uuid.uuid4().hex, message=message))


def load_channel(name: str, settings: ChannelSettings, stores: ChannelStores) -> Channel:
    """Creates the channel called `name`. Raises `ConfigError` naming the bad key."""
    return find_channel_class(name, settings)(name, settings, stores)


def find_channel_class(name: str, settings: ChannelSettings) -> ChannelFactory:
    """The class of the channel called `name`. Raises `ConfigError` naming the bad key."""
    kind = settings.type or name
    target = CHANNEL_TYPES.get(kind, kind)
    module_name, _, class_name = target.partition(":")
    if not class_name:
        raise ConfigError(
            f"channels.{name}.type: there is no channel type {kind!r} "
            f"(known: {', '.join(sorted(CHANNEL_TYPES))}).",
            hint="A plug-in is written as package.module:Class.",
        )
    try:
        return cast("ChannelFactory", getattr(import_module(module_name), class_name))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"channels.{name}.type: {target!r} cannot be loaded: {error}") from error
