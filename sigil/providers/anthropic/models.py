"""What Anthropic says of its models: https://platform.claude.com/docs/en/api/models-list"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sigil.providers.base import ModelInfo
from sigil.providers.shared.catalogue import make_info
from sigil.providers.shared.json_fields import Json, read_list, read_object
from sigil.providers.shared.tokens import read_token_count

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_MAX_PAGES = 10
_PAGE_SIZE = 1000
_ID = re.compile(r"[\w][\w.:@/-]{0,199}", re.ASCII)

MODELS: tuple[ModelInfo, ...] = (
    make_info("claude-fable-5-2", 1_000_000, 128_000),
    make_info("claude-fable-5-1", 1_000_000, 128_000),
    make_info("claude-fable-5", 1_000_000, 128_000),
    make_info("claude-mythos-5-2", 1_000_000, 128_000),
    make_info("claude-opus-5-5", 1_000_000, 128_000),
    make_info("claude-opus-5", 1_000_000, 128_000),
    make_info("claude-opus-4-8", 1_000_000, 128_000),
    make_info("claude-opus-4-7", 1_000_000, 128_000),
    make_info("claude-opus-4-6", 1_000_000, 128_000),
    make_info("claude-opus-4-5", 200_000, 64_000),
    make_info("claude-sonnet-5-5", 1_000_000, 128_000),
    make_info("claude-sonnet-5", 1_000_000, 128_000),
    make_info("claude-sonnet-4-6", 1_000_000, 128_000),
    make_info("claude-sonnet-4-5", 200_000, 64_000),
    make_info("claude-haiku-5-5", 1_000_000, 128_000),
    make_info("claude-haiku-4-5", 200_000, 64_000),
)
"""The built-in models; `shared/catalogue.py` names the sources."""


async def list_models(client: AsyncAnthropic, find: Callable[[str], ModelInfo]) -> list[ModelInfo]:
    """The models that may be called. `find` says what is known of a model already; it fills in
    what the vendor leaves out."""
    models: dict[str, ModelInfo] = {}
    params: dict[str, Any] = {"limit": _PAGE_SIZE}
    for _ in range(_MAX_PAGES):
        page = read_object(
            await client.get("/v1/models", cast_to=object, options={"params": params})
        )
        entries = [entry for entry in read_list(page.get("data")) if _is_usable(entry)]
        for entry in entries:
            models[entry["id"]] = _describe_model(entry, find(entry["id"]))
        last = page.get("last_id")
        if not entries or not page.get("has_more") or not isinstance(last, str):
            break
        params["after_id"] = last
    return list(models.values())


def _is_usable(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.get("lifecycle") == "retired":
        return False
    name = entry.get("id")
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def _describe_model(entry: Json, info: ModelInfo) -> ModelInfo:
    return replace(
        info,
        tools=True,
        vision=_has_capability(entry, "image_input", info.vision),
        documents=_has_capability(entry, "pdf_input", info.documents),
        thinking=_has_capability(entry, "thinking", info.thinking),
        max_context_tokens=read_token_count(entry.get("max_input_tokens"))
        or info.max_context_tokens,
        max_output_tokens=read_token_count(entry.get("max_tokens")) or info.max_output_tokens,
    )


def _has_capability(entry: Json, capability: str, default: bool) -> bool:
    fields = read_object(read_object(entry.get("capabilities")).get(capability))
    supported = fields.get("supported")
    return supported if isinstance(supported, bool) else default
