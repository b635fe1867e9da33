"""What all sections of the settings share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

_SECTION = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)


class Section(BaseModel):
    """What all sections share: unknown keys are errors, values do not change, null is unset."""

    model_config = _SECTION

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_unset(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value
