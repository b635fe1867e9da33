from __future__ import annotations

import pytest

from sigil.providers.chain import health, policy
from sigil.stores import Stores
from sigil.testing import fake_stores

SHORT_REST_S = 0.1


@pytest.fixture
def shared() -> Stores:
    """What all workers share, over fakeredis."""
    return fake_stores()


@pytest.fixture
def short_rests(monkeypatch: pytest.MonkeyPatch) -> float:
    """Rests as short as `Retry-After` may be, and pauses, that no test has to wait for: returns
    the rest in seconds."""
    monkeypatch.setattr(health, "SHORTEST_RETRY_AFTER_S", SHORT_REST_S)
    monkeypatch.setattr(policy, "SHORTEST_RETRY_AFTER_S", SHORT_REST_S)
    monkeypatch.setattr(policy, "QUICK_PAUSE_S", (0.01, 0.02))
    return SHORT_REST_S


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "QUICK_PAUSE_S", (0.0, 0.001))
