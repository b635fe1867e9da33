from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from tests.providers.vendors import VENDORS, Vendor

HERE = Path(__file__).parent
SHARED_LOOP = [HERE / name for name in ("anthropic", "every_vendor", "google", "openai", "shared")]
"""Here the tests of a module share a loop, and with it a client, which takes 40 ms to make."""


@pytest.fixture(params=VENDORS, ids=str)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    vendor: Vendor = request.param
    return vendor


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        in_shared_loop = any(item.path.is_relative_to(folder) for folder in SHARED_LOOP)
        if in_shared_loop and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)
