from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sigil.providers.google import GoogleProvider
from tests.providers.google.server import KEY, GoogleServer
from tests.providers.loopback import run_server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running_server() -> AsyncIterator[GoogleServer]:
    async with run_server(GoogleServer()) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider(running_server: GoogleServer) -> AsyncIterator[GoogleProvider]:
    """One for all tests of a module: what a failure leaves behind must not harm the next call."""
    provider = GoogleProvider(api_key=KEY, base_url=running_server.url, read_timeout=5)
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_provider(running_server: GoogleServer) -> AsyncIterator[GoogleProvider]:
    """For what depends on a filter of warnings: the client sets it, pytest resets it."""
    provider = GoogleProvider(api_key=KEY, base_url=running_server.url, read_timeout=5)
    yield provider
    await provider.aclose()


@pytest.fixture
def server(running_server: GoogleServer) -> Iterator[GoogleServer]:
    """The server, which has met nothing yet. A request that breaks its rules fails the test."""
    running_server.reset()
    yield running_server
    assert running_server.violations == []
