"""The settings: names, types, bounds, defaults, and what each is for.

One module for each subject, `settings.py` puts them together. The descriptions are what editors
show (`sigil config schema`). A null in the file means "not given". Durations are seconds. Rules
that span several settings are in `sigil.config.checks`.
"""

from sigil.config.schema.agent import AgentSettings, TimeoutSettings
from sigil.config.schema.budgets import BudgetSettings, DollarLimits
from sigil.config.schema.channels import ChannelSettings
from sigil.config.schema.limits import LimitSettings
from sigil.config.schema.models import (
    ModelOverride,
    ModelSettings,
    PriceSettings,
    ProviderSettings,
)
from sigil.config.schema.people import (
    OWNER_ID,
    BindingSettings,
    ToolSettings,
    UserSettings,
    WorkspaceSettings,
)
from sigil.config.schema.section import Section
from sigil.config.schema.servers import (
    BlobSettings,
    GatewaySettings,
    LoggingSettings,
    NetworkSettings,
    RedisSettings,
)
from sigil.config.schema.settings import Settings, find_data_home
from sigil.config.schema.values import PATTERNS
from sigil.config.schema.workers import (
    WORKER_ROLES,
    LaneSettings,
    PoolSettings,
    ProcessRole,
    WorkerRole,
    WorkerSettings,
)

__all__ = [
    "OWNER_ID",
    "PATTERNS",
    "WORKER_ROLES",
    "AgentSettings",
    "BindingSettings",
    "BlobSettings",
    "BudgetSettings",
    "ChannelSettings",
    "DollarLimits",
    "GatewaySettings",
    "LaneSettings",
    "LimitSettings",
    "LoggingSettings",
    "ModelOverride",
    "ModelSettings",
    "NetworkSettings",
    "PoolSettings",
    "PriceSettings",
    "ProcessRole",
    "ProviderSettings",
    "RedisSettings",
    "Section",
    "Settings",
    "TimeoutSettings",
    "ToolSettings",
    "UserSettings",
    "WorkerRole",
    "WorkerSettings",
    "WorkspaceSettings",
    "find_data_home",
]
