"""What the vendors' own models can do, so that nobody has to be asked.

Sources, read on 2026-11-22: the names from the SDKs' own lists of chat models (openai 3.54.0,
anthropic 2.12.0, google-genai 3.4.0), without those shut down by then; the contexts from
genai-prices 0.2.3; the output limits from the vendors' model pages. A model that these do not
know has its family's values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from sigil.providers.base import ModelInfo

if TYPE_CHECKING:
    from sigil.config.schema import ModelOverride

# A release of a model has its date or number after its name: `-2026-11-22` (OpenAI), `-20261122`
# (Anthropic; `@20261122` on clouds), `-001`, `-11-22` or `-11-2026` (Google).
_RELEASE = re.compile(r"(?:-\d{4}-\d{2}-\d{2}|[-@]\d{8}|-\d{2}-(?:\d{4}|\d{2})|-\d{3})\Z", re.ASCII)
_STAGE = re.compile(r"-(?:latest|preview|exp)\Z")
_CAPABILITIES = {field.name for field in fields(ModelInfo)} - {"id"}


def _model(model: str, context: int, output: int, *, thinking: bool = True) -> ModelInfo:
    return ModelInfo(
        model,
        tools=True,
        vision=True,
        thinking=thinking,
        max_context_tokens=context,
        max_output_tokens=output,
    )


OPENAI: tuple[ModelInfo, ...] = (
    _model("gpt-6.2-astra", 1_050_000, 128_000),
    _model("gpt-6.2-sol", 1_050_000, 128_000),
    _model("gpt-6.1-sol", 1_050_000, 128_000),
    _model("gpt-6.1-terra", 1_050_000, 128_000),
    _model("gpt-6-astra", 1_050_000, 128_000),
    _model("gpt-6-sol", 1_050_000, 128_000),
    _model("gpt-6-luna", 1_050_000, 128_000),
    _model("gpt-5.6-sol", 1_050_000, 128_000),
    _model("gpt-5.6-terra", 1_050_000, 128_000),
    _model("gpt-5.6-luna", 1_050_000, 128_000),
    _model("gpt-5.5", 1_000_000, 128_000),
    _model("gpt-5.4", 1_050_000, 128_000),
    _model("gpt-5.4-mini", 400_000, 128_000),
    _model("gpt-5.4-nano", 400_000, 128_000),
    _model("gpt-5.2", 400_000, 128_000),
    _model("gpt-5.1", 400_000, 128_000),
    _model("gpt-5", 400_000, 128_000),
    _model("gpt-5-mini", 400_000, 128_000),
    _model("gpt-5-nano", 400_000, 128_000),
    _model("o3", 200_000, 100_000),
    _model("gpt-4.1", 1_000_000, 32_768, thinking=False),
    _model("gpt-4.1-mini", 1_000_000, 32_768, thinking=False),
    _model("gpt-4o", 128_000, 16_384, thinking=False),
    _model("gpt-4o-mini", 128_000, 16_384, thinking=False),
)


ANTHROPIC: tuple[ModelInfo, ...] = (
    _model("claude-fable-5-2", 1_000_000, 128_000),
    _model("claude-fable-5-1", 1_000_000, 128_000),
    _model("claude-fable-5", 1_000_000, 128_000),
    _model("claude-mythos-5-2", 1_000_000, 128_000),
    _model("claude-opus-5-5", 1_000_000, 128_000),
    _model("claude-opus-5", 1_000_000, 128_000),
    _model("claude-opus-4-8", 1_000_000, 128_000),
    _model("claude-opus-4-7", 1_000_000, 128_000),
    _model("claude-opus-4-6", 1_000_000, 128_000),
    _model("claude-opus-4-5", 200_000, 64_000),
    _model("claude-sonnet-5-5", 1_000_000, 128_000),
    _model("claude-sonnet-5", 1_000_000, 128_000),
    _model("claude-sonnet-4-6", 1_000_000, 128_000),
    _model("claude-sonnet-4-5", 200_000, 64_000),
    _model("claude-haiku-5-5", 1_000_000, 128_000),
    _model("claude-haiku-4-5", 200_000, 64_000),
)

GOOGLE: tuple[ModelInfo, ...] = (
    _model("gemini-4-carbon", 1_048_576, 65_536),
    _model("gemini-4-argon", 1_048_576, 65_536),
    _model("gemini-4-hydrogen", 1_048_576, 65_536),
    _model("gemini-3.8-flash", 1_048_576, 65_536),
    _model("gemini-3.7-flash", 1_048_576, 65_536),
    _model("gemini-3.6-flash", 1_048_576, 65_536),
    _model("gemini-3.5-flash", 1_048_576, 65_536),
    _model("gemini-3.5-flash-lite", 1_048_576, 65_536),
    _model("gemini-3.1-pro-preview", 1_048_576, 65_536),
    _model("gemini-3.1-flash-lite", 1_048_576, 65_536),
    _model("gemini-3-flash-preview", 1_048_576, 65_536),
    _model("gemini-2.5-pro", 1_048_576, 65_536),
    _model("gemini-2.5-flash", 1_048_576, 65_536),
    _model("gemini-2.5-flash-lite", 1_048_576, 65_536),
    _model("gemini-pro-latest", 1_048_576, 65_536),
    _model("gemini-flash-latest", 1_048_576, 65_536),
    _model("gemini-flash-lite-latest", 1_048_576, 65_536),
)


class Catalogue:
    """The models of one provider: those built in, until its vendor was asked which there are."""

    def __init__(self, builtin: Iterable[ModelInfo] = ()) -> None:
        self._known = {info.id: info for info in builtin}
        self._models = tuple(self._known.values())

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """What the vendor said last, or else what is built in."""
        return self._models

    def find(self, model: str) -> ModelInfo:
        """The entry of a model or of its dated release, also of one that the vendor does not list
        but that is built in; one that is unknown can do little."""
        return _found(self._known, model)

    def replace(self, models: Iterable[ModelInfo]) -> None:
        """Keeps what the vendor said."""
        said = {info.id: info for info in models}
        self._models = tuple(said.values())
        self._known = self._known | said


def find(models: Iterable[ModelInfo], model: str) -> ModelInfo:
    """The entry of a model or of its dated release; one that is unknown can do little."""
    return _found({info.id: info for info in models}, model)


def overridden(info: ModelInfo, overrides: Mapping[str, ModelOverride]) -> ModelInfo:
    """What is known of a model with what is configured over it: by its exact name, then for `*`;
    what neither of them says stays."""
    for name in ("*", info.id):
        if name in overrides:
            said = overrides[name].model_dump(include=_CAPABILITIES, exclude_none=True)
            info = replace(info, **said)
    return info


def _found(known: Mapping[str, ModelInfo], model: str) -> ModelInfo:
    plain = model.removeprefix("models/")
    release = _RELEASE.sub("", plain)
    for name in (plain, release, _STAGE.sub("", release)):
        if name in known:
            return replace(known[name], id=model)
    return ModelInfo(model)
