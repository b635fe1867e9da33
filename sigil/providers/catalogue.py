"""What the vendors' own models can do, so that nobody has to be asked.

Sources: the names from the SDK's list of chat models (openai 3.54.0, without those shut down by
2026-11-22), the contexts from genai-prices 0.2.3, the output limits from the vendor's model
pages. A model that genai-prices does not know has its family's values.
"""

from __future__ import annotations

import re
from dataclasses import replace

from sigil.providers.base import ModelInfo

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


def _openai(model: str, context: int, output: int, *, thinking: bool = True) -> ModelInfo:
    return ModelInfo(
        model,
        tools=True,
        vision=True,
        thinking=thinking,
        max_context_tokens=context,
        max_output_tokens=output,
    )


OPENAI: tuple[ModelInfo, ...] = (
    _openai("gpt-6.2-astra", 1_050_000, 128_000),
    _openai("gpt-6.2-sol", 1_050_000, 128_000),
    _openai("gpt-6.1-sol", 1_050_000, 128_000),
    _openai("gpt-6.1-terra", 1_050_000, 128_000),
    _openai("gpt-6-astra", 1_050_000, 128_000),
    _openai("gpt-6-sol", 1_050_000, 128_000),
    _openai("gpt-6-luna", 1_050_000, 128_000),
    _openai("gpt-5.6-sol", 1_050_000, 128_000),
    _openai("gpt-5.6-terra", 1_050_000, 128_000),
    _openai("gpt-5.6-luna", 1_050_000, 128_000),
    _openai("gpt-5.5", 1_000_000, 128_000),
    _openai("gpt-5.4", 1_050_000, 128_000),
    _openai("gpt-5.4-mini", 400_000, 128_000),
    _openai("gpt-5.4-nano", 400_000, 128_000),
    _openai("gpt-5.2", 400_000, 128_000),
    _openai("gpt-5.1", 400_000, 128_000),
    _openai("gpt-5", 400_000, 128_000),
    _openai("gpt-5-mini", 400_000, 128_000),
    _openai("gpt-5-nano", 400_000, 128_000),
    _openai("o3", 200_000, 100_000),
    _openai("gpt-4.1", 1_000_000, 32_768, thinking=False),
    _openai("gpt-4.1-mini", 1_000_000, 32_768, thinking=False),
    _openai("gpt-4o", 128_000, 16_384, thinking=False),
    _openai("gpt-4o-mini", 128_000, 16_384, thinking=False),
)


def find(models: tuple[ModelInfo, ...], model: str) -> ModelInfo:
    """The entry of a model or of its dated snapshot; one that is unknown can do little."""
    plain = _SNAPSHOT.sub("", model)
    known = next((info for info in models if info.id == plain), None)
    return ModelInfo(model) if known is None else replace(known, id=model)
