"""The whole configuration: its sections, and what always exists."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, model_validator

from sigil.config.schema.agent import AgentSettings, TimeoutSettings
from sigil.config.schema.budgets import BudgetSettings
from sigil.config.schema.channels import ChannelEntry, ChannelSettings, name_types
from sigil.config.schema.limits import LimitSettings
from sigil.config.schema.models import ModelSettings, ProviderSettings
from sigil.config.schema.people import OWNER_ID, UserSettings, WorkspaceSettings
from sigil.config.schema.section import Section
from sigil.config.schema.servers import (
    BlobSettings,
    GatewaySettings,
    LoggingSettings,
    NetworkSettings,
    RedisSettings,
)
from sigil.config.schema.values import Name, Number
from sigil.config.schema.workers import LaneSettings, WorkerSettings


def find_data_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for Sigil's data by the XDG base directory specification."""
    home = environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path("~/.local/share").expanduser()
    return base / "sigil"


class Settings(Section):
    """Sigil's whole configuration; see `sigil.config.load_settings`."""

    data_dir: Path = Field(
        default_factory=find_data_home,
        description="Where the embedded Valkey keeps its data, and files that came in are kept. "
        "Default: the XDG data home.",
    )
    redis: RedisSettings = Field(default_factory=RedisSettings, description="Broker and state.")
    gateway: GatewaySettings = Field(default_factory=GatewaySettings, description="HTTP.")
    network: NetworkSettings = Field(
        default_factory=NetworkSettings, description="Where addresses out of messages may lead."
    )
    blobs: BlobSettings = Field(
        default_factory=BlobSettings, description="Files that came in with messages."
    )
    users: dict[Name, UserSettings] = Field(
        default_factory=dict,
        validate_default=True,
        description="People by id. If nobody is the owner, a user called `owner` is added as "
        "the owner.",
    )
    workspaces: dict[Name, WorkspaceSettings] = Field(
        default_factory=dict, description="Workspaces by id; `personal` is reserved."
    )
    channels: dict[Name, SerializeAsAny[ChannelEntry]] = Field(
        default_factory=dict, description="Channels by name; `web` and `terminal` always exist."
    )
    providers: dict[Name, ProviderSettings] = Field(
        default_factory=dict, description="Model vendors by name; `echo` always exists."
    )
    models: ModelSettings = Field(default_factory=ModelSettings, description="Which one answers.")
    agent: AgentSettings = Field(default_factory=AgentSettings, description="The agent.")
    budgets: BudgetSettings = Field(default_factory=BudgetSettings, description="Limits.")
    timeouts: TimeoutSettings = Field(default_factory=TimeoutSettings, description="Deadlines.")
    limits: LimitSettings = Field(
        default_factory=LimitSettings, description="How fast people may write."
    )
    lanes: LaneSettings = Field(default_factory=LaneSettings, description="Leases and caps.")
    workers: WorkerSettings = Field(default_factory=WorkerSettings, description="Worker pools.")
    logging: LoggingSettings = Field(default_factory=LoggingSettings, description="Logs.")
    retention_days: Annotated[int, Field(ge=1, le=3650), Number] = Field(
        7,
        description="Days, at least 7, for which a handled message is remembered, "
        "so that it is not taken twice.",
    )

    def policy(self, channel: str) -> ChannelSettings:
        """The settings of a channel; the defaults for a channel that is not configured."""
        return self.channels.get(channel) or ChannelSettings()

    @model_validator(mode="before")
    @classmethod
    def _add_what_always_exists(cls, value: Any) -> Any:
        """Adds the owner, the page, the terminal and the echo. Malformed sections stay as they
        are: the validation that follows reports them."""
        if not isinstance(value, dict):
            return value
        users = value.get("users") or {}
        return value | {
            "users": _add_owner(users) if isinstance(users, dict) else users,
            "channels": name_types(_add_entries(value.get("channels"), "web", "terminal")),
            "providers": _add_entries(value.get("providers"), "echo"),
        }


def _add_entries(section: Any, *names: str) -> Any:
    if section is not None and not isinstance(section, dict):
        return section
    return {name: {} for name in names} | (section or {})


def _add_owner(users: dict[Any, Any]) -> dict[Any, Any]:
    """Names users after their ids, and adds an owner if nobody is one."""
    roles = [
        u.get("role") if isinstance(u, dict) else getattr(u, "role", 0) for u in users.values()
    ]
    named = {
        id: {"name": id} | {k: v for k, v in (user or {}).items() if v is not None}
        if isinstance(user, dict | None)
        else user
        for id, user in users.items()
    }
    if "owner" in roles or OWNER_ID in users:
        return named
    return {OWNER_ID: {"name": "Owner", "role": "owner"}} | named
