"""The settings of limits: how fast people may write."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from sigil.config.schema.section import Section
from sigil.config.schema.values import Count


class LimitSettings(Section):
    """Limits for each sender in each account. Here a null means: no limit."""

    messages_per_minute: Count | None = Field(
        20,
        description="Messages that one sender may write in the long run. What is more waits; in "
        "groups it is refused. null: no limit.",
    )
    burst: Count | None = Field(
        30, description="Messages that one sender may write at once. null: no limit."
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        """Takes the place of the rule that a null is as good as nothing."""
        return {} if value is None else value
