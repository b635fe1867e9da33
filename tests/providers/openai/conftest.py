from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sigil.providers.openai import OpenAIProvider
from tests.providers.loopback import run_server
from tests.providers.openai.server import KEY, OpenAIServer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running_server() -> AsyncIterator[OpenAIServer]:
    async with run_server(OpenAIServer(), "/v1") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider(running_server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    """One for all tests of a module: what a failure leaves behind must not harm the next call."""
    provider = OpenAIProvider(api_key=KEY, base_url=running_server.url, read_timeout=5)
    yield provider
    await provider.aclose()


@pytest.fixture
def server(running_server: OpenAIServer) -> Iterator[OpenAIServer]:
    """The server, which has met nothing yet. A request that breaks its rules fails the test."""
    running_server.reset()
    yield running_server
    assert running_server.violations == []
