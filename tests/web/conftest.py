from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sigil.stores import Stores
from tests.web.serving import Serve, Served, start


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves gateways on loopback until the test ends."""
    async with AsyncExitStack() as stack:

        async def serve(stores: Stores | None = None, **settings: Any) -> Served:
            return await start(stack, stores, settings)

        yield serve


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()
