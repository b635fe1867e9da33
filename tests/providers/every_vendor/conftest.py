from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest_asyncio

from sigil.providers import Provider
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.vendors import open_providers


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def providers(server: FaultServer) -> AsyncIterator[Mapping[str, Provider]]:
    """One of each vendor for all tests: what a fault leaves behind must not harm the next call."""
    async with open_providers(server) as providers:
        yield providers
