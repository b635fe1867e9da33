"""What Google says about its models."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.providers.base import ModelInfo
from sigil.providers.shared.vendor import count

if TYPE_CHECKING:
    from google import genai
    from google.genai import types

_PAGE_SIZE, _MAX_MODELS = 1000, 2000
_NAME = re.compile(r"\w[\w.:@-]{0,127}", re.ASCII)
# The vendor does not say who sees and who calls tools: Gemini does, but for its models of one
# purpose.
_ALL_ROUND = re.compile(
    r"gemini-(?!.*(?:tts|image|audio|live|embedding|robotics|computer-use))", re.ASCII
)


async def listed(client: genai.Client, known: Callable[[str], ModelInfo]) -> list[ModelInfo]:
    """The models that generate content, 2,000 at most; `known` says what else is known of one."""
    infos: list[ModelInfo] = []
    seen = 0
    async for model in await client.aio.models.list(config={"page_size": _PAGE_SIZE}):
        seen += 1
        info = _info(model, known)
        if info is not None:
            infos.append(info)
        if seen >= _MAX_MODELS:
            break
    return infos


def _info(model: types.Model, known: Callable[[str], ModelInfo]) -> ModelInfo | None:
    name = (model.name or "").removeprefix("models/")
    if not _NAME.fullmatch(name) or "generateContent" not in (model.supported_actions or ()):
        return None
    info = known(name)
    all_round = bool(_ALL_ROUND.match(name))
    return replace(
        info,
        tools=info.tools or all_round,
        vision=info.vision or all_round,
        thinking=info.thinking if model.thinking is None else model.thinking,
        max_context_tokens=count(model.input_token_limit) or info.max_context_tokens,
        max_output_tokens=count(model.output_token_limit) or info.max_output_tokens,
    )
