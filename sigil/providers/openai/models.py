"""The list of models that OpenAI, or a server that speaks its API, says it has."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sigil.providers.base import ModelInfo

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MAX_BODY = 16 * 1024 * 1024
_MAX_MODELS = 5000
_MAX_TOKENS = 100_000_000
_ID = re.compile(r"[!-~]{1,200}")
# OpenAI lists all that it has, and says nothing of what it is for.
_CHATS = re.compile(r"gpt-|o\d|chatgpt-|codex-")
_CHATS_NOT = re.compile(
    r"audio|realtime|transcribe|tts|image|search|instruct|live|translate|gpt-3\.5|gpt-4-0|oss"
)
_CONTEXT = ("context_length", "max_model_len", "max_context_length", "context_window")
_OUTPUT = ("max_completion_tokens", "max_output_length")

Find = Callable[[str], ModelInfo]


async def listed(client: AsyncOpenAI, find: Find, *, openai: bool) -> list[ModelInfo]:
    """The models of `GET /models` that can chat, with what the server says of each over what
    `find` knows. Raises `ValueError` for what is no such list."""
    async with client.models.with_streaming_response.list() as response:
        body = bytearray()
        async for part in response.iter_bytes():
            body += part
            if len(body) > _MAX_BODY:
                raise ValueError("the list of models is too long")
    return await asyncio.to_thread(_parsed, bytes(body), find, openai)


def _parsed(body: bytes, find: Find, openai: bool) -> list[ModelInfo]:
    said = json.loads(body)
    # Together's list comes bare.
    models = said.get("data") if isinstance(said, dict) else said
    if not isinstance(models, list):
        raise ValueError("there is no list of models")
    found: dict[str, ModelInfo] = {}
    for model in models[:_MAX_MODELS]:
        name = model.get("id") if isinstance(model, dict) else None
        if not isinstance(name, str) or not _ID.fullmatch(name):
            continue
        if openai and (not _CHATS.match(name) or _CHATS_NOT.search(name)):
            continue
        found.setdefault(name, _described(replace(find(name), id=name), model))
    return list(found.values())


def _described(info: ModelInfo, model: Mapping[str, Any]) -> ModelInfo:
    """OpenRouter's fields, and those of vLLM, Groq, Mistral and Together; what a server does not
    say stays."""
    context = _tokens(model, _CONTEXT) or info.max_context_tokens
    output = _tokens(_mapping(model.get("top_provider")), _OUTPUT) or _tokens(model, _OUTPUT)
    abilities = _mapping(model.get("capabilities"))
    parameters = _words(model.get("supported_parameters"))
    modalities = _words(_mapping(model.get("architecture")).get("input_modalities"))
    return replace(
        info,
        tools=info.tools or "tools" in parameters or abilities.get("function_calling") is True,
        vision=info.vision or "image" in modalities or abilities.get("vision") is True,
        thinking=info.thinking or "reasoning" in parameters,
        max_context_tokens=context,
        max_output_tokens=min(output or info.max_output_tokens, context),
    )


def _tokens(model: Mapping[str, Any], names: Iterable[str]) -> int | None:
    said = (model.get(name) for name in names)
    return next((n for n in said if type(n) is int and 0 < n <= _MAX_TOKENS), None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
