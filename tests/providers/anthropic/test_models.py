"""The models that are built in, and those that Anthropic lists."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers.anthropic import AnthropicProvider
from tests.providers.anthropic.replies import refusal
from tests.providers.anthropic.server import KEY, AnthropicServer
from tests.providers.loopback import status


async def test_the_catalogue_answers_at_once_and_knows_releases() -> None:
    provider = AnthropicProvider(api_key=KEY)
    known = {info.id: info for info in await provider.list_models()}
    assert {"claude-opus-4-6", "claude-sonnet-4-5", "claude-opus-5-5"} <= set(known)
    assert provider.model_info("claude-haiku-4-5-20251001").max_context_tokens == 200_000
    elsewhere = AnthropicProvider(base_url="http://127.0.0.1:1", name="local")
    assert await elsewhere.list_models() == []


async def test_models_are_refreshed_from_the_vendor_page_by_page(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    able = {
        "image_input": {"supported": False},
        "pdf_input": {"supported": True},
        "thinking": {"supported": True},
    }
    new = {"id": "claude-new-6", "max_input_tokens": 5000, "max_tokens": 70, "capabilities": able}
    odd = [{"id": "a b"}, {"id": 5}, 5, {"id": "claude-old", "lifecycle": "retired"}]
    server.replies = [
        status(200, {"data": [new, *odd], "has_more": True, "last_id": "claude-new-6"}),
        status(200, {"data": [{"id": "claude-opus-5-5", "capabilities": 7}], "has_more": False}),
    ]
    found = {info.id: info for info in await provider.refresh_models()}
    assert list(found) == ["claude-new-6", "claude-opus-5-5"]
    fresh = found["claude-new-6"]
    assert (fresh.tools, fresh.vision, fresh.documents, fresh.thinking) == (True, False, True, True)
    assert (fresh.max_context_tokens, fresh.max_output_tokens) == (5000, 70)
    assert found["claude-opus-5-5"].max_context_tokens == 1_000_000
    assert provider.model_info("claude-new-6") == fresh
    assert "after_id=claude-new-6" in server.paths[1]


async def test_an_endless_list_of_models_is_not_read_for_ever(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [status(200, {"data": [{"id": "m"}], "has_more": True, "last_id": "m"})]
    await provider.refresh_models()
    assert len(server.requests) <= 10


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(401, "authentication_error", f"invalid {KEY}"), ErrorKind.AUTH),
        (status(200, {"data": []}), ErrorKind.SERVER),
        (status(200, 5), ErrorKind.SERVER),
    ],
)
async def test_a_refresh_that_fails_changes_nothing(
    server: AnthropicServer, provider: AnthropicProvider, reply: Any, kind: ErrorKind
) -> None:
    before = await provider.list_models()
    server.replies = [reply]
    with pytest.raises(ProviderError) as caught:
        await provider.refresh_models()
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert await provider.list_models() == before
