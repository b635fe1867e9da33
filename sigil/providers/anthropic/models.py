"""What Anthropic says of its models: https://platform.claude.com/docs/en/api/models-list"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sigil.providers.base import ModelInfo
from sigil.providers.shared.vendor import count

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_MAX_PAGES = 10
_PAGE = 1000
_ID = re.compile(r"[\w][\w.:@/-]{0,199}", re.ASCII)


async def listed(client: AsyncAnthropic, known: Callable[[str], ModelInfo]) -> list[ModelInfo]:
    """The models that may be called; what the vendor does not say of them is as `known` has it."""
    models: dict[str, ModelInfo] = {}
    params: dict[str, Any] = {"limit": _PAGE}
    for _ in range(_MAX_PAGES):
        page: Any = await client.get("/v1/models", cast_to=object, options={"params": params})
        data = page.get("data") if isinstance(page, dict) else None
        found = [entry for entry in data if _usable(entry)] if isinstance(data, list) else []
        models |= {entry["id"]: _info(entry, known(entry["id"])) for entry in found}
        last = page.get("last_id") if isinstance(page, dict) else None
        if not found or not page.get("has_more") or not isinstance(last, str):
            break
        params["after_id"] = last
    return list(models.values())


def _usable(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.get("lifecycle") == "retired":
        return False
    name = entry.get("id")
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def _info(entry: dict[str, Any], known: ModelInfo) -> ModelInfo:
    return replace(
        known,
        tools=True,
        vision=_supports(entry, "image_input", known.vision),
        thinking=_supports(entry, "thinking", known.thinking),
        max_context_tokens=count(entry.get("max_input_tokens")) or known.max_context_tokens,
        max_output_tokens=count(entry.get("max_tokens")) or known.max_output_tokens,
    )


def _supports(entry: dict[str, Any], capability: str, otherwise: bool) -> bool:
    all_of_them = entry.get("capabilities")
    said = all_of_them.get(capability) if isinstance(all_of_them, dict) else None
    supported = said.get("supported") if isinstance(said, dict) else None
    return supported if isinstance(supported, bool) else otherwise
