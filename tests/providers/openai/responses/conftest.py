from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sigil.providers.openai import OpenAIProvider
from tests.providers.openai.responses.replies import answer_pair
from tests.providers.openai.server import KEY, OpenAIServer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider(running_server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    """One for all tests of a module, which uses the responses API."""
    provider = OpenAIProvider(
        api_key=KEY, base_url=running_server.url, read_timeout=5, api="responses"
    )
    yield provider
    await provider.aclose()


@pytest.fixture
def server(server: OpenAIServer) -> OpenAIServer:
    """The server, which answers "Hi there" to a request that streams."""
    server.reply = answer_pair(text="Hi there")[0]
    return server
