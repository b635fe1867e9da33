"""The settings of people and of the workspaces they belong to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sigil.config.schema.budgets import DollarLimits
from sigil.config.schema.section import Section
from sigil.config.schema.values import (
    IdentityName,
    ModelName,
    Name,
    Number,
    PlatformId,
    Prompt,
    Secret,
)
from sigil.identity.users import Role, SessionMode

OWNER_ID = "owner"
"""The id of the user who is added if nobody in the configuration is the owner."""


class UserSettings(Section):
    """A person."""

    name: str = Field("", max_length=256, description="Shown to others; default: the id.")
    role: Role = Field(
        "member", description="The owner may do everything and is heard in every channel."
    )
    identities: list[IdentityName] = Field(
        default_factory=list,
        max_length=100,
        description="Who this is on the platforms, each as channel:platform_id, exactly.",
    )
    session_mode: SessionMode = Field(
        "unified", description="One conversation across all direct chats, or one per channel."
    )
    token: Secret | None = Field(
        None, description="Lets the person use the web page and the terminal."
    )
    budget: DollarLimits = Field(
        default_factory=DollarLimits, description="For this person, instead of budgets.user."
    )


class ToolSettings(Section):
    """Which tools a workspace's agent may use. Deny wins; an empty allow list denies all."""

    allow: list[PlatformId] = Field(
        default_factory=list,
        description="Allowed tools; `*` as the last segment stands for all below: calendar.*",
    )
    deny: list[PlatformId] = Field(
        default_factory=list, description="Denied tools, whatever `allow` says."
    )


class BindingSettings(Section):
    """A chat that belongs to a workspace."""

    channel: Name = Field(description="The channel's name.")
    channel_id: PlatformId = Field(
        description="The platform's id of the chat, or * for all chats there. The more specific "
        "binding wins."
    )
    space: PlatformId | None = Field(
        None, description="With *: only the chats of this guild, team or server."
    )


class WorkspaceSettings(Section):
    """A set of people with their own chats, memory, tools and model."""

    members: list[PlatformId] = Field(
        default_factory=list, description="User ids, or channel:platform_id."
    )
    tools: ToolSettings = Field(default_factory=ToolSettings, description="What its agent may do.")
    bindings: list[BindingSettings] = Field(
        default_factory=list,
        description="Chats that belong to it; a chat belongs to one workspace at most.",
    )
    model: ModelName | None = Field(None, description="provider/model, instead of models.default.")
    prompt: Prompt = Field("", description="Further instructions for the model in this workspace.")
    context: Annotated[int, Field(ge=0, le=50), Number] = Field(
        0,
        description="How many of the last messages of a bound group, said to others, the model is "
        "told when somebody addresses it. 0: none, and none are kept.",
    )
    budget: DollarLimits = Field(
        default_factory=DollarLimits,
        description="For this workspace, instead of budgets.workspace.",
    )
