from __future__ import annotations

import pytest

from tests.providers.vendors import VENDORS, Vendor


@pytest.fixture(params=VENDORS, ids=str)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    vendor: Vendor = request.param
    return vendor
