from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio

from sigil.providers import Provider
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.vendors import open_providers


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running_server() -> AsyncIterator[FaultServer]:
    async with fault_server() as server:
        yield server


@pytest.fixture
def server(running_server: FaultServer) -> Iterator[FaultServer]:
    """The server without calls. A request that is not the vendor's fails the test."""
    running_server.calls.clear()
    yield running_server
    assert running_server.violations == []


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def providers(running_server: FaultServer) -> AsyncIterator[Mapping[str, Provider]]:
    """One of each vendor for all tests: what a fault leaves behind must not harm the next call."""
    async with open_providers(running_server) as providers:
        yield providers
