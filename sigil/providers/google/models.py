"""What Google says of its models: https://ai.google.dev/api/models"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.providers.base import ModelInfo
from sigil.providers.shared.catalogue import make_info
from sigil.providers.shared.tokens import read_token_count

if TYPE_CHECKING:
    from google import genai

_PAGE_SIZE, _MAX_MODELS = 1000, 2000
_NAME = re.compile(r"\w[\w.:@-]{0,127}", re.ASCII)
# The vendor does not say which models see pictures and call tools. Gemini models do, except for
# those with a single purpose.
_ALL_ROUND = re.compile(
    r"gemini-(?!.*(?:tts|image|audio|live|embedding|robotics|computer-use))", re.ASCII
)

MODELS: tuple[ModelInfo, ...] = (
    make_info("gemini-4-carbon", 1_048_576, 65_536),
    make_info("gemini-4-argon", 1_048_576, 65_536),
    make_info("gemini-4-hydrogen", 1_048_576, 65_536),
    make_info("gemini-3.8-flash", 1_048_576, 65_536),
    make_info("gemini-3.7-flash", 1_048_576, 65_536),
    make_info("gemini-3.6-flash", 1_048_576, 65_536),
    make_info("gemini-3.5-flash", 1_048_576, 65_536),
    make_info("gemini-3.5-flash-lite", 1_048_576, 65_536),
    make_info("gemini-3.1-pro-preview", 1_048_576, 65_536),
    make_info("gemini-3.1-flash-lite", 1_048_576, 65_536),
    make_info("gemini-3-flash-preview", 1_048_576, 65_536),
    make_info("gemini-2.5-pro", 1_048_576, 65_536),
    make_info("gemini-2.5-flash", 1_048_576, 65_536),
    make_info("gemini-2.5-flash-lite", 1_048_576, 65_536),
    make_info("gemini-pro-latest", 1_048_576, 65_536),
    make_info("gemini-flash-latest", 1_048_576, 65_536),
    make_info("gemini-flash-lite-latest", 1_048_576, 65_536),
)
"""The built-in models; `shared/catalogue.py` names the sources."""


async def list_models(client: genai.Client, find: Callable[[str], ModelInfo]) -> list[ModelInfo]:
    """The models that generate content, out of the first 2,000. `find` says what is known of a
    model already; it fills in what the vendor leaves out."""
    infos: list[ModelInfo] = []
    number = 0
    async for model in await client.aio.models.list(config={"page_size": _PAGE_SIZE}):
        number += 1
        name = (model.name or "").removeprefix("models/")
        if _NAME.fullmatch(name) and "generateContent" in (model.supported_actions or ()):
            info = find(name)
            is_all_round = bool(_ALL_ROUND.match(name))
            infos.append(
                replace(
                    info,
                    tools=info.tools or is_all_round,
                    vision=info.vision or is_all_round,
                    documents=info.documents or is_all_round,
                    thinking=info.thinking if model.thinking is None else model.thinking,
                    max_context_tokens=read_token_count(model.input_token_limit)
                    or info.max_context_tokens,
                    max_output_tokens=read_token_count(model.output_token_limit)
                    or info.max_output_tokens,
                )
            )
        if number >= _MAX_MODELS:
            break
    return infos
