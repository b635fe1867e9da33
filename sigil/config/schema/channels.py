"""The settings of a channel.

A built-in type may have settings of its own, beside those that all channels share. Their class is
in the channel's folder, since it belongs to what is copied for a new channel; it is found here by
its name, and its module imports this one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from sigil.config.schema.section import Section
from sigil.config.schema.values import PlatformId, Prompt, TypeName

PairingName = Literal["open", "closed", "allowlist", "pair_on_request", "pair_with_code"]


class ChannelSettings(Section):
    """A way in and out: a messaging platform, the web page or the terminal."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Settings that must be given, but only in the roles that talk to the platform: in others,
    secrets are left out."""

    type: TypeName | None = Field(
        None,
        description="A built-in channel, or package.module:Class. Default: the channel's name.",
    )
    pairing: PairingName = Field(
        "pair_with_code", description="Who is heard here besides the owner and listed people."
    )
    allowlist: list[PlatformId] = Field(
        default_factory=list, description="Platform user ids let in by pairing: allowlist."
    )
    refusal: str | None = Field(
        None, max_length=4000, description="Reply to people who are refused. Not given: no reply."
    )
    on_unknown: Literal["resend", "hold"] = Field(
        "resend",
        description="When a worker died and nobody knows whether a chunk was sent: send it "
        "again, or hold it back.",
    )
    long_as_file: int | None = Field(
        None,
        ge=1,
        description="Send replies with more characters than this as a file. Default: never.",
    )
    coalesce: bool | None = Field(
        None,
        description="Answer messages sent in quick succession together. Default: the channel's.",
    )
    groups: Literal["addressed", "all"] = Field(
        "addressed",
        description="In groups, answer only when addressed (a mention, a reply, a command), or "
        "whatever is said.",
    )
    edits: Literal["correct", "answer"] = Field(
        "correct",
        description="When somebody changes a message that was answered already: correct what the "
        "model remembers, or answer it again.",
    )
    prompt: Prompt = Field("", description="Further instructions for the model in this channel.")
    options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,  # credentials are in here
        description="What a plug-in needs, such as its credentials.",
    )


CHANNEL_SETTINGS: dict[str, str] = {
    "email": "sigil.channels.email.settings:EmailSettings",
    "webhook": "sigil.channels.webhook.settings:WebhookSettings",
    "matrix": "sigil.channels.matrix.settings:MatrixSettings",
    "telegram": "sigil.channels.telegram.settings:TelegramSettings",
}
"""The built-in types that have settings of their own, each as `package.module:Class`."""


@cache
def load_settings_class(kind: str) -> type[ChannelSettings]:
    """The class of the settings of a type; that of all channels, if it has none of its own."""
    target = CHANNEL_SETTINGS.get(kind)
    if target is None:
        return ChannelSettings
    module, _, name = target.partition(":")
    found: type[ChannelSettings] = getattr(import_module(module), name)
    return found


def list_settings_classes() -> list[type[ChannelSettings]]:
    """The settings that all channels share, and those of each type that has its own."""
    return [ChannelSettings, *map(load_settings_class, CHANNEL_SETTINGS)]


def _validate_entry(value: Any, validate: ValidatorFunctionWrapHandler) -> ChannelSettings:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind in CHANNEL_SETTINGS:
        return load_settings_class(kind).model_validate(value)
    entry: ChannelSettings = validate(value)
    return entry


ChannelEntry = Annotated[ChannelSettings, WrapValidator(_validate_entry)]
"""The settings of an entry, by its `type`. An entry that is called like a built-in type is given
that type before."""


def name_types(entries: Any) -> Any:
    """Writes the type into each entry that leaves it out because it is called like one."""
    if not isinstance(entries, dict):
        return entries
    return {name: _name_type(name, entry) for name, entry in entries.items()}


def _name_type(name: Any, entry: Any) -> Any:
    entry = {} if entry is None else entry
    if name in CHANNEL_SETTINGS and isinstance(entry, dict) and entry.get("type") is None:
        return entry | {"type": name}
    return entry
