"""The configuration of a model takes precedence over what its provider reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from sigil.providers.base import ModelInfo

if TYPE_CHECKING:
    from sigil.config.schema import ModelOverride

_CAPABILITIES = {field.name for field in fields(ModelInfo)} - {"id"}


def apply_overrides(info: ModelInfo, overrides: Mapping[str, ModelOverride]) -> ModelInfo:
    """Corrects an entry by the configuration. The override of the exact name takes precedence over
    that of `*`; what neither of them sets stays."""
    for name in ("*", info.id):
        if name in overrides:
            values = overrides[name].model_dump(include=_CAPABILITIES, exclude_none=True)
            info = replace(info, **values)
    return info
