from __future__ import annotations

import pytest

from sigil.providers.chain import policy
from sigil.stores import Stores
from sigil.testing import fake_stores


@pytest.fixture
def shared() -> Stores:
    """What all workers share, over fakeredis."""
    return fake_stores()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "QUICK_PAUSE_S", (0.0, 0.001))
