"""The settings of budgets: limits in tokens and US dollars."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sigil.config.schema.section import Section
from sigil.config.schema.values import Number, Usd


class DollarLimits(Section):
    """US dollars per hour and per day (UTC)."""

    max_hour_usd: Usd | None = Field(None, description="US dollars per hour.")
    max_day_usd: Usd | None = Field(None, description="US dollars per day (UTC).")


class BudgetSettings(DollarLimits):
    """Limits. A limit that is not given does not apply. Those in dollars are for everything."""

    max_session_tokens: Annotated[int, Field(ge=0), Number] | None = Field(
        None, description="Tokens of one session; /new starts with a fresh budget."
    )
    session: DollarLimits = Field(default_factory=DollarLimits, description="For each session.")
    user: DollarLimits = Field(default_factory=DollarLimits, description="For each person.")
    workspace: DollarLimits = Field(default_factory=DollarLimits, description="For each workspace.")
    unknown_price: Literal["refuse", "allow"] = Field(
        "refuse",
        description="A model whose price is unknown, where dollars are limited: refuse it, or "
        "allow it and count nothing.",
    )
