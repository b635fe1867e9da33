"""What a budget lets through."""

from __future__ import annotations

import pytest

from sigil.errors import BudgetExceeded
from sigil.providers import Budget, ModelRequest, ProviderRegistry
from sigil.providers.fakes import FakeProvider


def registry_of(provider: FakeProvider) -> ProviderRegistry:
    registry = ProviderRegistry()
    registry.register("a", provider)
    registry.set_default("a/m")
    return registry


@pytest.mark.parametrize(
    ("budget", "window"),
    [
        (Budget(max_session_tokens=100, used_session_tokens=100), "session"),
        (Budget(max_session_tokens=100, used_session_tokens=101), "session"),
        (Budget(max_session_tokens=0), "session"),
        (Budget(max_hour_usd=1.0, used_hour_usd=1.0), "hour"),
        (Budget(max_hour_usd=0.5, used_hour_usd=0.75, max_day_usd=9.0), "hour"),
        (Budget(max_day_usd=2.0, used_day_usd=2.5), "day"),
    ],
)
async def test_a_used_up_budget_comes_before_everything(budget: Budget, window: str) -> None:
    """Also before the only model is found not to be there."""
    request, registry = ModelRequest(budget=budget), registry_of(FakeProvider("a", available=False))
    with pytest.raises(BudgetExceeded, match="budget") as routed:
        await registry.route(request)
    with pytest.raises(BudgetExceeded, match="budget") as chained:
        registry.chain(request)
    for caught in (routed, chained):
        assert caught.value.window == window
        assert window in str(caught.value)


@pytest.mark.parametrize(
    "budget",
    [
        None,
        Budget(),
        Budget(max_session_tokens=100, used_session_tokens=99),
        Budget(used_session_tokens=10**9, used_hour_usd=1e9, used_day_usd=1e9),
        Budget(max_hour_usd=1.0, used_hour_usd=0.99, max_day_usd=2.0, used_day_usd=1.99),
    ],
)
async def test_a_budget_with_something_left_lets_through(budget: Budget | None) -> None:
    registry = registry_of(FakeProvider("a"))
    assert (await registry.route(ModelRequest(budget=budget)))[1] == "m"
