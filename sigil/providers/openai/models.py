"""What OpenAI, or a server that speaks its API, says of its models:
https://platform.openai.com/docs/api-reference/models/list"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.messages.conversation import MOST_TOKENS
from sigil.providers.base import ModelInfo
from sigil.providers.shared.catalogue import make_info
from sigil.providers.shared.json_fields import Json, read_list, read_object

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MAX_BODY = 16 * 1024 * 1024
_MAX_MODELS = 5000
_ID = re.compile(r"[!-~]{1,200}")
# OpenAI lists everything that it has, without saying what it is for.
_CHATS = re.compile(r"gpt-|o\d|chatgpt-|codex-")
_DOES_NOT_CHAT = re.compile(
    r"audio|realtime|transcribe|tts|image|search|instruct|live|translate|gpt-3\.5|gpt-4-0|oss"
)
_CONTEXT_FIELDS = ("context_length", "max_model_len", "max_context_length", "context_window")
_OUTPUT_FIELDS = ("max_completion_tokens", "max_output_length")

MODELS: tuple[ModelInfo, ...] = (
    make_info("gpt-6.2-astra", 1_050_000, 128_000),
    make_info("gpt-6.2-sol", 1_050_000, 128_000),
    make_info("gpt-6.1-sol", 1_050_000, 128_000),
    make_info("gpt-6.1-terra", 1_050_000, 128_000),
    make_info("gpt-6-astra", 1_050_000, 128_000),
    make_info("gpt-6-sol", 1_050_000, 128_000),
    make_info("gpt-6-luna", 1_050_000, 128_000),
    make_info("gpt-5.6-sol", 1_050_000, 128_000),
    make_info("gpt-5.6-terra", 1_050_000, 128_000),
    make_info("gpt-5.6-luna", 1_050_000, 128_000),
    make_info("gpt-5.5", 1_000_000, 128_000),
    make_info("gpt-5.4", 1_050_000, 128_000),
    make_info("gpt-5.4-mini", 400_000, 128_000),
    make_info("gpt-5.4-nano", 400_000, 128_000),
    make_info("gpt-5.2", 400_000, 128_000),
    make_info("gpt-5.1", 400_000, 128_000),
    make_info("gpt-5", 400_000, 128_000),
    make_info("gpt-5-mini", 400_000, 128_000),
    make_info("gpt-5-nano", 400_000, 128_000),
    make_info("o3", 200_000, 100_000),
    make_info("gpt-4.1", 1_000_000, 32_768, thinking=False),
    make_info("gpt-4.1-mini", 1_000_000, 32_768, thinking=False),
    make_info("gpt-4o", 128_000, 16_384, thinking=False),
    make_info("gpt-4o-mini", 128_000, 16_384, thinking=False),
)
"""The built-in models; `shared/catalogue.py` names the sources."""


async def list_models(
    client: AsyncOpenAI, find: Callable[[str], ModelInfo], *, is_openai: bool
) -> list[ModelInfo]:
    """The models that can chat, out of the first 5,000. `find` says what is known of a model
    already; it fills in what the server leaves out. Raises `ValueError` if the server's response
    is not a list of models."""
    async with client.models.with_streaming_response.list() as response:
        body = bytearray()
        async for part in response.iter_bytes():
            body += part
            if len(body) > _MAX_BODY:
                raise ValueError("the list of models is too long")
    # A list may take long enough to parse that streams would notice.
    return await asyncio.to_thread(_parse_models, bytes(body), find, is_openai)


def _parse_models(
    body: bytes, find: Callable[[str], ModelInfo], is_openai: bool
) -> list[ModelInfo]:
    answer = json.loads(body)
    # Together's list comes bare.
    entries = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(entries, list):
        raise ValueError("there is no list of models")
    models: dict[str, ModelInfo] = {}
    for entry in entries[:_MAX_MODELS]:
        name = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _ID.fullmatch(name):
            continue
        if is_openai and (not _CHATS.match(name) or _DOES_NOT_CHAT.search(name)):
            continue
        models.setdefault(name, _describe_model(entry, replace(find(name), id=name)))
    return list(models.values())


def _describe_model(entry: Json, info: ModelInfo) -> ModelInfo:
    """Reads the fields of OpenRouter, vLLM, Groq, Mistral and Together."""
    context = _read_limit(entry, _CONTEXT_FIELDS) or info.max_context_tokens
    output = _read_limit(read_object(entry.get("top_provider")), _OUTPUT_FIELDS)
    output = output or _read_limit(entry, _OUTPUT_FIELDS) or info.max_output_tokens
    capabilities = read_object(entry.get("capabilities"))
    parameters = read_list(entry.get("supported_parameters"))
    modalities = read_list(read_object(entry.get("architecture")).get("input_modalities"))
    return replace(
        info,
        tools=info.tools or "tools" in parameters or capabilities.get("function_calling") is True,
        vision=info.vision or "image" in modalities or capabilities.get("vision") is True,
        thinking=info.thinking or "reasoning" in parameters,
        max_context_tokens=context,
        max_output_tokens=min(output, context),
    )


def _read_limit(entry: Json, names: Iterable[str]) -> int | None:
    """The first sensible number of tokens in these fields. A nonsensical one is worse than
    none, since requests are cut to it."""
    values = (entry.get(name) for name in names)
    return next((n for n in values if type(n) is int and 0 < n <= MOST_TOKENS), None)
