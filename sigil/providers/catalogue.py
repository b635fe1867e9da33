"""What the vendors' own models can do, so that no vendor has to be asked.

Sources, read on 2026-11-22: the names come from the SDKs' own lists of chat models (openai 3.54.0,
anthropic 2.12.0, google-genai 3.4.0), without models that were shut down by then; the contexts
from genai-prices 0.2.3; the output limits from the vendors' model pages. A model that is missing
there has the values of its family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from sigil.providers.base import ModelInfo

if TYPE_CHECKING:
    from sigil.config.schema import ModelOverride

# A release has its date or number after the model's name: `-2026-11-22` (OpenAI), `-20261122`
# (Anthropic; `@20261122` on clouds), `-001`, `-11-22` or `-11-2026` (Google).
_RELEASE = re.compile(r"(?:-\d{4}-\d{2}-\d{2}|[-@]\d{8}|-\d{2}-(?:\d{4}|\d{2})|-\d{3})\Z", re.ASCII)
_STAGE = re.compile(r"-(?:latest|preview|exp)\Z")
_CAPABILITIES = {field.name for field in fields(ModelInfo)} - {"id"}


def _make_info(model: str, context: int, output: int, *, thinking: bool = True) -> ModelInfo:
    return ModelInfo(
        model,
        tools=True,
        vision=True,
        thinking=thinking,
        max_context_tokens=context,
        max_output_tokens=output,
    )


OPENAI: tuple[ModelInfo, ...] = (
    _make_info("gpt-6.2-astra", 1_050_000, 128_000),
    _make_info("gpt-6.2-sol", 1_050_000, 128_000),
    _make_info("gpt-6.1-sol", 1_050_000, 128_000),
    _make_info("gpt-6.1-terra", 1_050_000, 128_000),
    _make_info("gpt-6-astra", 1_050_000, 128_000),
    _make_info("gpt-6-sol", 1_050_000, 128_000),
    _make_info("gpt-6-luna", 1_050_000, 128_000),
    _make_info("gpt-5.6-sol", 1_050_000, 128_000),
    _make_info("gpt-5.6-terra", 1_050_000, 128_000),
    _make_info("gpt-5.6-luna", 1_050_000, 128_000),
    _make_info("gpt-5.5", 1_000_000, 128_000),
    _make_info("gpt-5.4", 1_050_000, 128_000),
    _make_info("gpt-5.4-mini", 400_000, 128_000),
    _make_info("gpt-5.4-nano", 400_000, 128_000),
    _make_info("gpt-5.2", 400_000, 128_000),
    _make_info("gpt-5.1", 400_000, 128_000),
    _make_info("gpt-5", 400_000, 128_000),
    _make_info("gpt-5-mini", 400_000, 128_000),
    _make_info("gpt-5-nano", 400_000, 128_000),
    _make_info("o3", 200_000, 100_000),
    _make_info("gpt-4.1", 1_000_000, 32_768, thinking=False),
    _make_info("gpt-4.1-mini", 1_000_000, 32_768, thinking=False),
    _make_info("gpt-4o", 128_000, 16_384, thinking=False),
    _make_info("gpt-4o-mini", 128_000, 16_384, thinking=False),
)


ANTHROPIC: tuple[ModelInfo, ...] = (
    _make_info("claude-fable-5-2", 1_000_000, 128_000),
    _make_info("claude-fable-5-1", 1_000_000, 128_000),
    _make_info("claude-fable-5", 1_000_000, 128_000),
    _make_info("claude-mythos-5-2", 1_000_000, 128_000),
    _make_info("claude-opus-5-5", 1_000_000, 128_000),
    _make_info("claude-opus-5", 1_000_000, 128_000),
    _make_info("claude-opus-4-8", 1_000_000, 128_000),
    _make_info("claude-opus-4-7", 1_000_000, 128_000),
    _make_info("claude-opus-4-6", 1_000_000, 128_000),
    _make_info("claude-opus-4-5", 200_000, 64_000),
    _make_info("claude-sonnet-5-5", 1_000_000, 128_000),
    _make_info("claude-sonnet-5", 1_000_000, 128_000),
    _make_info("claude-sonnet-4-6", 1_000_000, 128_000),
    _make_info("claude-sonnet-4-5", 200_000, 64_000),
    _make_info("claude-haiku-5-5", 1_000_000, 128_000),
    _make_info("claude-haiku-4-5", 200_000, 64_000),
)

GOOGLE: tuple[ModelInfo, ...] = (
    _make_info("gemini-4-carbon", 1_048_576, 65_536),
    _make_info("gemini-4-argon", 1_048_576, 65_536),
    _make_info("gemini-4-hydrogen", 1_048_576, 65_536),
    _make_info("gemini-3.8-flash", 1_048_576, 65_536),
    _make_info("gemini-3.7-flash", 1_048_576, 65_536),
    _make_info("gemini-3.6-flash", 1_048_576, 65_536),
    _make_info("gemini-3.5-flash", 1_048_576, 65_536),
    _make_info("gemini-3.5-flash-lite", 1_048_576, 65_536),
    _make_info("gemini-3.1-pro-preview", 1_048_576, 65_536),
    _make_info("gemini-3.1-flash-lite", 1_048_576, 65_536),
    _make_info("gemini-3-flash-preview", 1_048_576, 65_536),
    _make_info("gemini-2.5-pro", 1_048_576, 65_536),
    _make_info("gemini-2.5-flash", 1_048_576, 65_536),
    _make_info("gemini-2.5-flash-lite", 1_048_576, 65_536),
    _make_info("gemini-pro-latest", 1_048_576, 65_536),
    _make_info("gemini-flash-latest", 1_048_576, 65_536),
    _make_info("gemini-flash-lite-latest", 1_048_576, 65_536),
)


class Catalogue:
    """The models of one provider: the built-in ones, until its vendor has listed its own."""

    def __init__(self, builtin: Iterable[ModelInfo] = ()) -> None:
        self._by_id = {info.id: info for info in builtin}
        self._models = tuple(self._by_id.values())

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The vendor's last list, or else the built-in one."""
        return self._models

    def find(self, model: str) -> ModelInfo:
        """The entry of a model, or of the model of which it is a dated release. Built-in entries
        count even if the vendor does not list them. An unknown model is assumed to do little."""
        plain = model.removeprefix("models/")
        undated = _RELEASE.sub("", plain)
        for name in (plain, undated, _STAGE.sub("", undated)):
            if name in self._by_id:
                return replace(self._by_id[name], id=model)
        return ModelInfo(model)

    def replace(self, models: Iterable[ModelInfo]) -> None:
        """Keeps the vendor's list."""
        listed = {info.id: info for info in models}
        self._models = tuple(listed.values())
        self._by_id = self._by_id | listed


def apply_overrides(info: ModelInfo, overrides: Mapping[str, ModelOverride]) -> ModelInfo:
    """Corrects an entry by what is configured: the override of the exact name goes before that of
    `*`, and what neither of them sets stays."""
    for name in ("*", info.id):
        if name in overrides:
            values = overrides[name].model_dump(include=_CAPABILITIES, exclude_none=True)
            info = replace(info, **values)
    return info
