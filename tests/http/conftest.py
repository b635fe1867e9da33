from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from sigil.http.transport import make_http_client
from tests.http.server import SOON


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    client = make_http_client(SOON)
    yield client
    await client.aclose()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
