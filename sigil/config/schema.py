"""The settings: names, types, bounds, defaults, and what each is for.

The descriptions are what editors show (`sigil config schema`). A null in the file means "not
given". Durations are seconds. Rules that span several settings are in `sigil.config.checks`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sigil.config.models import BudgetSettings, DollarLimits, ModelSettings, ProviderSettings
from sigil.config.section import Section
from sigil.config.types import (
    Count,
    HostName,
    IdentityName,
    KeyPrefix,
    Level,
    ModelName,
    Name,
    Number,
    PlatformId,
    Prompt,
    RedisUrl,
    Seconds,
    Secret,
    TypeName,
)

Role = Literal["gateway", "routing", "agent", "outbound"]
PairingName = Literal["open", "closed", "allowlist", "pair_on_request", "pair_with_code"]
SessionMode = Literal["unified", "per_channel"]

OWNER_ID = "owner"
PERSONAL = "personal"


class RedisSettings(Section):
    """The Redis (or Valkey) server that holds the broker and the state."""

    url: RedisUrl | None = Field(
        None,
        description="redis://, rediss:// (TLS) or unix:// URL, or "
        "sentinel://[user:password@]host:port[;host:port…]/master[/db]. "
        "Not given: `sigil up` starts a private Valkey in data_dir.",
    )
    prefix: KeyPrefix = Field(
        "sigil:",
        description="Put before every key, so that several Sigils can share one server.",
    )


class GatewaySettings(Section):
    """The HTTP server: web page, webhooks, health, metrics."""

    host: HostName = Field(
        "127.0.0.1",
        description="Address to listen on. Anything beyond loopback needs a token.",
    )
    port: Annotated[int, Field(ge=0, le=65_535), Number] = Field(
        8787, description="Port to listen on; 0 takes any free one."
    )
    token: Secret | None = Field(
        None, description="Whoever presents it is the owner. Needed beyond loopback."
    )
    allowed_hosts: list[HostName] = Field(
        default_factory=list,
        max_length=100,
        description="Further host names under which the page may be opened, e.g. behind a proxy.",
    )


class UserSettings(Section):
    """A person."""

    name: str = Field("", max_length=256, description="Shown to others; default: the id.")
    role: Literal["owner", "member"] = Field(
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
        None, description="With it the person uses the web page and the terminal."
    )
    budget: DollarLimits = Field(
        default_factory=DollarLimits, description="Instead of budgets.user, for this person."
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
    channel_id: PlatformId = Field(description="The platform's id of the chat.")


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
    prompt: Prompt = Field("", description="Told to the model here, after the system prompt.")
    budget: DollarLimits = Field(
        default_factory=DollarLimits, description="Instead of budgets.workspace, for this one."
    )


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
        None, max_length=4000, description="Told to people who are refused; not given: silence."
    )
    on_unknown: Literal["resend", "hold"] = Field(
        "resend",
        description="A chunk that may or may not have been sent when a worker died: send it "
        "again, or hold it back.",
    )
    coalesce: bool | None = Field(
        None,
        description="Answer messages sent in quick succession together. Default: the channel's.",
    )
    prompt: Prompt = Field("", description="Told to the model in this channel.")
    options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,  # credentials are in here
        description="What this type of channel needs, such as its credentials.",
    )


class AgentSettings(Section):
    """How the agent speaks and how much it sees."""

    system_prompt: Prompt = Field(
        "You are Sigil, a helpful assistant that people talk to through chat apps. Answer in the "
        "language you are spoken to, briefly and plainly. Say so when you do not know.",
        description="Told to the model first in every conversation.",
    )
    window: Annotated[int, Field(ge=2, le=1000), Number] = Field(
        40, description="Messages of the conversation's history that the model sees."
    )


class TimeoutSettings(Section):
    """Deadlines in seconds."""

    turn: Seconds = Field(900, description="A whole turn: model calls and tools.")
    model_call: Seconds = Field(300, description="One call of a model.")
    idle_stream: Seconds = Field(90, description="Silence in the middle of a model's answer.")
    tool: Seconds = Field(60, description="One call of a tool.")
    grace: Annotated[float, Field(ge=0, le=3600), Number] = Field(
        30, description="What a stopping worker leaves its running turns before it hands back."
    )


class LaneSettings(Section):
    """How work is leased to workers. The defaults fit; change them for tests and odd loads."""

    lease: Seconds = Field(15, description="How long a silent worker keeps a lane.")
    renew: Seconds = Field(5, description="How often a lease is renewed; less than half of it.")
    cap: Count = Field(20, description="Messages that may wait in one session.")
    items_per_lease: Count = Field(10, description="Items a worker handles before others' turn.")
    seconds_per_lease: Seconds = Field(30, description="Seconds likewise.")
    max_strikes: Annotated[int, Field(ge=1, le=100), Number] = Field(
        3, description="Crashes or errors of one message before it is dead-lettered."
    )
    coalesce_quiet: Annotated[float, Field(ge=0, le=60), Number] = Field(
        1.2, description="Silence after which messages in quick succession are answered together."
    )
    coalesce_max: Annotated[float, Field(ge=0, le=300), Number] = Field(
        5, description="The longest wait for that silence, from the first message on."
    )


class PoolSettings(Section):
    """The workers of one role on this machine."""

    processes: Annotated[int, Field(ge=1, le=64), Number] = Field(
        1, description="Processes that `sigil up` starts."
    )
    concurrency: Annotated[int, Field(ge=1, le=10_000), Number] = Field(
        32, description="Lanes that one process works on at a time."
    )


_CONCURRENCY = {"routing": 32, "agent": 200, "outbound": 64}


def _pool(role: str, work: str) -> Any:
    concurrency = _CONCURRENCY[role]
    return Field(
        default_factory=lambda: PoolSettings(concurrency=concurrency),
        description=f"{work} Default concurrency: {concurrency}.",
    )


class WorkerSettings(Section):
    """Processes and concurrency per role."""

    routing: PoolSettings = _pool("routing", "Who may speak, and to which session.")
    agent: PoolSettings = _pool("agent", "Turns: mostly waiting for models.")
    outbound: PoolSettings = _pool("outbound", "Sending to platforms.")

    @model_validator(mode="before")
    @classmethod
    def _own_concurrency(cls, value: Any) -> Any:
        """A section that sets only `processes` keeps its role's own concurrency."""
        if not isinstance(value, dict):
            return value
        return {
            role: {"concurrency": _CONCURRENCY[role]} | pool
            if role in _CONCURRENCY and isinstance(pool, dict)
            else pool
            for role, pool in value.items()
        }


class LoggingSettings(Section):
    """Logs go to standard error."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: for people on a terminal, JSON elsewhere."
    )
    level: Level = Field("INFO", description="The least that is logged.")


def data_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for Sigil's data by the XDG base directory specification."""
    home = environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path("~/.local/share").expanduser()
    return base / "sigil"


class Settings(Section):
    """Sigil's whole configuration; see `sigil.config.load_settings`."""

    data_dir: Path = Field(
        default_factory=data_home,
        description="Where the embedded Valkey keeps its data. Default: the XDG data home.",
    )
    redis: RedisSettings = Field(default_factory=RedisSettings, description="Broker and state.")
    gateway: GatewaySettings = Field(default_factory=GatewaySettings, description="HTTP.")
    users: dict[Name, UserSettings] = Field(
        default_factory=dict,
        validate_default=True,
        description="People by id. If none is the owner, a user `owner` is there as such.",
    )
    workspaces: dict[Name, WorkspaceSettings] = Field(
        default_factory=dict, description="Workspaces by id; `personal` is reserved."
    )
    channels: dict[Name, ChannelSettings] = Field(
        default_factory=dict, description="Channels by name; `web` and `terminal` always exist."
    )
    providers: dict[Name, ProviderSettings] = Field(
        default_factory=dict, description="Model vendors by name; `echo` always exists."
    )
    models: ModelSettings = Field(default_factory=ModelSettings, description="Which one answers.")
    agent: AgentSettings = Field(default_factory=AgentSettings, description="The agent.")
    budgets: BudgetSettings = Field(default_factory=BudgetSettings, description="Limits.")
    timeouts: TimeoutSettings = Field(default_factory=TimeoutSettings, description="Deadlines.")
    lanes: LaneSettings = Field(default_factory=LaneSettings, description="Leases and caps.")
    workers: WorkerSettings = Field(default_factory=WorkerSettings, description="Worker pools.")
    logging: LoggingSettings = Field(default_factory=LoggingSettings, description="Logs.")
    retention_days: Annotated[int, Field(ge=1, le=3650), Number] = Field(
        7, description="Days for which records of handled messages are kept."
    )

    def policy(self, channel: str) -> ChannelSettings:
        """What is configured of a channel; the defaults for one that is not."""
        return self.channels.get(channel) or ChannelSettings()

    @model_validator(mode="before")
    @classmethod
    def _what_always_exists(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        users = value.get("users") or {}
        return value | {
            "users": _with_owner(users) if isinstance(users, dict) else users,
            "channels": _with(value.get("channels"), "web", "terminal"),
            "providers": _with(value.get("providers"), "echo"),
        }


def _with(entries: Any, *names: str) -> Any:
    if entries is not None and not isinstance(entries, dict):
        return entries
    return {name: {} for name in names} | (entries or {})


def _with_owner(users: dict[Any, Any]) -> dict[Any, Any]:
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
