"""From a type's name to what a channel's folder declares, which is loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from sigil.channels.base import ChannelType
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from sigil.config.schema import ChannelSettings

CHANNEL_TYPES = {
    "email": "sigil.channels.email.spec:EmailType",
    "matrix": "sigil.channels.matrix.spec:MatrixType",
    "memory": "sigil.channels.memory.spec:MemoryType",
    "telegram": "sigil.channels.telegram.spec:TelegramType",
    "terminal": "sigil.channels.terminal.spec:TerminalType",
    "web": "sigil.channels.web.spec:WebType",
    "webhook": "sigil.channels.webhook.spec:WebhookType",
}
"""The built-in types, each as `package.module:Class`. The class of their settings, if they have
any of their own, is in `sigil.config.schema.channels`."""


def find_channel_type(name: str, settings: ChannelSettings) -> type[ChannelType]:
    """The type of the entry called `name`. Raises `ConfigError` naming the bad key."""
    kind = settings.type or name
    target = CHANNEL_TYPES.get(kind, kind)
    if ":" not in target:
        raise ConfigError(
            f"channels.{name}.type: there is no channel type {kind!r} "
            f"(known: {', '.join(sorted(CHANNEL_TYPES))}).",
            hint="A plug-in is written as package.module:Class.",
        )
    try:
        found = load_object(target)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"channels.{name}.type: {target!r} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, ChannelType)):
        raise ConfigError(
            f"channels.{name}.type: {target!r} is no ChannelType.",
            hint="See docs/write-a-channel.md.",
        )
    return found


def load_object(target: str) -> Any:
    """What `package.module:name` names. Raises `ImportError` or `AttributeError`."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def read_options(name: str, kind: type[ChannelType], settings: ChannelSettings) -> Any:
    """The settings that a listener or sender is made with: a plug-in's own class made of its
    `options`, else the entry's settings. Raises `ConfigError` naming the bad key."""
    if kind.options is None:
        return settings
    from pydantic import ValidationError

    try:
        return kind.options.model_validate(settings.options)
    except ValidationError as error:
        # Without the input, which may be a secret.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        flaws = "; ".join(
            f"channels.{name}.options.{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in found
        )
        raise ConfigError(f"{flaws}.") from None


def make(target: str, *args: Any) -> Any:
    """Calls what `package.module:name` names."""
    return cast("Any", load_object(target))(*args)
