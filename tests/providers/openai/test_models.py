"""The models that are built in, and those that a server lists."""

from __future__ import annotations

import json

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers.base import ModelInfo
from sigil.providers.openai import OpenAIProvider
from tests.providers.loopback import Reply, cut, status
from tests.providers.openai.chat.replies import refusal
from tests.providers.openai.server import KEY, OpenAIServer


async def test_the_catalogue_is_for_openai_only() -> None:
    openai = OpenAIProvider(api_key="k")
    assert "gpt-4.1" in {model.id for model in await openai.list_models()}
    assert openai.model_info("gpt-4.1-2025-04-14").max_output_tokens == 32_768
    ollama = OpenAIProvider(name="ollama", base_url="http://127.0.0.1:1/v1")
    assert await ollama.list_models() == []
    assert not ollama.model_info("gpt-4.1").tools


async def refresh_from(
    server: OpenAIServer, models: object, name: str = "local"
) -> dict[str, ModelInfo]:
    server.reply = status(200, json.dumps(models))
    provider = OpenAIProvider(name=name, api_key=KEY, base_url=server.url)
    found = await provider.refresh_models()
    assert found == await provider.list_models()
    assert all(provider.model_info(info.id) == info for info in found)
    await provider.aclose()
    assert server.paths == ["/v1/models"]
    return {info.id: info for info in found}


LISTED = {
    "OpenRouter": (
        {
            "id": "anthropic/claude-x",
            "context_length": 200_000,
            "top_provider": {"max_completion_tokens": 64_000},
            "supported_parameters": ["tools", "reasoning", "temperature"],
            "architecture": {"input_modalities": ["text", "image"]},
        },
        ModelInfo(
            "anthropic/claude-x",
            tools=True,
            vision=True,
            thinking=True,
            max_context_tokens=200_000,
            max_output_tokens=64_000,
        ),
    ),
    "vLLM": (
        {"id": "Qwen/Qwen3-8B", "max_model_len": 40_960},
        ModelInfo("Qwen/Qwen3-8B", max_context_tokens=40_960),
    ),
    "Groq": (
        {"id": "llama", "context_window": 131_072, "max_completion_tokens": 32_768},
        ModelInfo("llama", max_context_tokens=131_072, max_output_tokens=32_768),
    ),
    "Mistral": (
        {
            "id": "mistral-large",
            "max_context_length": 131_072,
            "capabilities": {"function_calling": True, "vision": True},
        },
        ModelInfo("mistral-large", tools=True, vision=True, max_context_tokens=131_072),
    ),
    "Ollama": ({"id": "llama3.2:3b", "owned_by": "library"}, ModelInfo("llama3.2:3b")),
    "a small context": (
        {"id": "tiny", "max_model_len": 2048},
        ModelInfo("tiny", max_context_tokens=2048, max_output_tokens=2048),
    ),
    "nonsense": (
        {
            "id": "odd",
            "context_length": "many",
            "max_model_len": True,
            "context_window": -1,
            "max_completion_tokens": 10**12,
            "top_provider": [],
            "supported_parameters": {"tools": 1},
            "architecture": {"input_modalities": [["image"]]},
            "capabilities": {"vision": "yes"},
        },
        ModelInfo("odd"),
    ),
}


@pytest.mark.parametrize(("listed", "info"), LISTED.values(), ids=LISTED)
async def test_what_a_server_lists_of_a_model_is_understood(
    server: OpenAIServer, listed: dict[str, object], info: ModelInfo
) -> None:
    assert await refresh_from(server, {"data": [listed]}) == {info.id: info}


async def test_a_bare_list_is_understood(server: OpenAIServer) -> None:
    assert set(await refresh_from(server, [{"id": "a"}, {"id": "a"}, {"id": "b"}])) == {"a", "b"}


async def test_malformed_ids_are_passed_over(server: OpenAIServer) -> None:
    ids = ["", " ", "a b", "a\nb", "é", "x" * 201, 7, None, ["a"], "good"]
    models = [{"id": name} for name in ids] + ["odd", None, 7, {}]
    assert set(await refresh_from(server, {"data": models})) == {"good"}


async def test_a_list_is_bounded(server: OpenAIServer) -> None:
    models = {"data": [{"id": f"m{number}"} for number in range(6000)]}
    assert len(await refresh_from(server, models)) == 5000


async def test_only_those_of_openais_models_that_chat_are_listed(server: OpenAIServer) -> None:
    ids = ["gpt-6-sol", "gpt-4.1-2025-04-14", "gpt-7-new", "o3"]
    others = ["gpt-4o-realtime", "gpt-image-2", "text-embedding-3-small", "whisper-1", "sora-3"]
    models = {"data": [{"id": name} for name in [*ids, *others]]}
    found = await refresh_from(server, models, name="openai")
    assert set(found) == set(ids)
    assert found["gpt-4.1-2025-04-14"].max_output_tokens == 32_768
    assert not found["gpt-7-new"].tools


BROKEN = {
    "refused": (refusal(401, "invalid_api_key"), ErrorKind.AUTH),
    "not there": (refusal(404, None), ErrorKind.UNAVAILABLE),
    "malformed": (status(200, "{oops"), ErrorKind.SERVER),
    "no list": (status(200, {"data": {}}), ErrorKind.SERVER),
    "no object": (status(200, "7"), ErrorKind.SERVER),
    "nested too deep": (status(200, "[" * 100_000), ErrorKind.SERVER),
    "too long": (status(200, " " * (16 * 1024 * 1024 + 1)), ErrorKind.SERVER),
    "cut": (cut, ErrorKind.NETWORK),
}


@pytest.mark.parametrize(("reply", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_refresh_that_fails_changes_nothing(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply, kind: ErrorKind
) -> None:
    before = await provider.list_models()
    server.reply = reply
    with pytest.raises(ProviderError) as caught:
        await provider.refresh_models()
    assert (caught.value.kind, caught.value.provider) == (kind, "openai")
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert await provider.list_models() == before
