"""Stores whose clock stands at 23:37 UTC."""

from __future__ import annotations

import pytest

from sigil.testing import fake_stores
from tests.budget_clock import Clock, script_text


@pytest.fixture
async def stores(monkeypatch):
    """Over fakeredis, at 23:37 UTC."""
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    made = fake_stores()
    await Clock(made, "2026-11-22T23:37:00").advance()
    yield made
    await made.backend.close()
