from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sigil.providers.openai import OpenAIProvider
from tests.providers.openai.responses_replies import answered
from tests.providers.openai.rules import KEY
from tests.providers.openai.server import OpenAIServer, openai_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as served:
        yield served


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, read_timeout=5)
    yield provider
    await provider.aclose()


@pytest.fixture
async def responses(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    """A provider that uses the responses API."""
    server.reply = answered(text="Hi there")[0]
    provider = OpenAIProvider(api_key=KEY, base_url=server.url, read_timeout=5, api="responses")
    yield provider
    await provider.aclose()
