"""The settings of a channel."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sigil.config.schema.section import Section
from sigil.config.schema.values import PlatformId, Prompt, TypeName

PairingName = Literal["open", "closed", "allowlist", "pair_on_request", "pair_with_code"]


class ChannelSettings(Section):
    """A way in and out: a messaging platform, the web page or the terminal."""

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
    coalesce: bool | None = Field(
        None,
        description="Answer messages sent in quick succession together. Default: the channel's.",
    )
    prompt: Prompt = Field("", description="Further instructions for the model in this channel.")
    options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,  # credentials are in here
        description="What this type of channel needs, such as its credentials.",
    )
