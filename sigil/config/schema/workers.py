"""The settings of the workers: how many there are, and how lanes are leased to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from sigil.config.schema.section import Section
from sigil.config.schema.values import Count, Number, Seconds

WorkerRole = Literal["routing", "agent", "outbound"]
ProcessRole = Literal["gateway", "routing", "agent", "outbound"]
WORKER_ROLES: tuple[WorkerRole, ...] = get_args(WorkerRole)

# A slot costs next to nothing. With few of them, a wake-up that names 32 lanes would hardly ever
# fit into a process, and what does not fit is sent again.
_CONCURRENCY: dict[str, int] = {"routing": 128, "agent": 200, "outbound": 128}


class LaneSettings(Section):
    """How work is leased to workers. The defaults fit; change them for tests and odd loads."""

    lease: Seconds = Field(15, description="How long a silent worker keeps a lane.")
    renew: Seconds = Field(5, description="How often a lease is renewed; less than half of it.")
    cap: Count = Field(
        20,
        description="Messages that may wait in one session, and those of one sender that may wait "
        "since they are over the limit.",
    )
    items_per_lease: Count = Field(
        10,
        description="Items that a worker handles before it gives the lane back, so that other "
        "lanes are served.",
    )
    seconds_per_lease: Seconds = Field(
        30, description="Seconds after which a worker gives the lane back, likewise."
    )
    max_strikes: Annotated[int, Field(ge=1, le=100), Number] = Field(
        3,
        description="Strikes of one message before it is dead-lettered: its errors, and crashes of "
        "its worker from the third on.",
    )
    coalesce_quiet: Annotated[float, Field(ge=0, le=60), Number] = Field(
        1.2, description="Silence after which messages in quick succession are answered together."
    )
    coalesce_max: Annotated[float, Field(ge=0, le=300), Number] = Field(
        5, description="The longest wait for that silence, counted from the first message."
    )


class PoolSettings(Section):
    """The workers of one role on this machine."""

    processes: Annotated[int, Field(ge=1, le=64), Number] = Field(
        1, description="Processes that `sigil up` starts."
    )
    concurrency: Annotated[int, Field(ge=1, le=10_000), Number] = Field(
        32, description="Lanes that one process works on at a time."
    )


def _make_pool_field(role: WorkerRole, work: str) -> Any:
    concurrency = _CONCURRENCY[role]
    return Field(
        default_factory=lambda: PoolSettings(concurrency=concurrency),
        description=f"{work} Default concurrency: {concurrency}.",
    )


class WorkerSettings(Section):
    """Processes and concurrency per role."""

    routing: PoolSettings = _make_pool_field("routing", "Who may speak, and to which session.")
    agent: PoolSettings = _make_pool_field("agent", "Turns: mostly waiting for models.")
    outbound: PoolSettings = _make_pool_field("outbound", "Sending to platforms.")

    @model_validator(mode="before")
    @classmethod
    def _keep_default_concurrency(cls, value: Any) -> Any:
        """Gives a section that sets only `processes` the default concurrency of its role."""
        if not isinstance(value, dict):
            return value
        return {
            role: {"concurrency": _CONCURRENCY[role]} | pool
            if role in _CONCURRENCY and isinstance(pool, dict)
            else pool
            for role, pool in value.items()
        }
