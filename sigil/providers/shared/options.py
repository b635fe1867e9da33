"""What the configuration says under `providers.<name>.options`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sigil.errors import ConfigError


class VendorOptions(BaseModel):
    """The options of one provider. Each vendor has a class of its own with the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def check(cls, provider: str, given: Mapping[str, Any]) -> Self:
        """The options of the provider of this name. Raises `ConfigError`, which names the option
        and shows no values."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(["providers", provider, "options", *map(str, first["loc"])])
        raise ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}.")
