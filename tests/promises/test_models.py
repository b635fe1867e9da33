"""What users rely on in `sigil.providers`."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ConfigError,
)
from sigil.providers import (
    Budget,
    ChatEvent,
    ChatRequest,
    EventType,
    Message,
    ModelInfo,
    ModelRequest,
    Provider,
    ProviderRegistry,
)
from sigil.testing import FakeProvider, ScriptedProvider


def make_registry(**providers: Any) -> ProviderRegistry:
    made = ProviderRegistry()
    for name in ("anthropic", "openai", "google"):
        made.register(name, providers.get(name) or FakeProvider(name))
    made.set_default("anthropic/claude-sonnet-4-5")
    return made


@pytest.mark.parametrize("provider", [FakeProvider("a"), ScriptedProvider(["ok"])])
async def test_a_provider_streams_and_ends_once(provider: Provider) -> None:
    assert isinstance(provider, Provider)
    assert await provider.available()
    models = await provider.list_models()
    assert all(isinstance(model, ModelInfo) for model in models)
    request = ChatRequest("model", [Message(role="user", content="Hello")])
    events: list[ChatEvent] = [event async for event in provider.chat(request)]
    ends = [e for e in events if e.type in (EventType.DONE, EventType.ERROR)]
    assert ends == [events[-1]]
    assert "".join(e.text for e in events if e.type is EventType.TEXT_DELTA) == "ok"


async def choose(made: ProviderRegistry, **request: Any) -> tuple[str, str]:
    provider, model = await made.route(ModelRequest(**request))
    return provider.name, model


async def test_the_registry_chooses_a_model() -> None:
    made = make_registry()
    assert made.get("anthropic").name == "anthropic"
    assert await choose(made) == ("anthropic", "claude-sonnet-4-5")
    made.set_override("homelab", "openai/gpt-4.1")
    assert await choose(made, workspace_id="homelab") == ("openai", "gpt-4.1")
    assert await choose(made, workspace_id="other") == ("anthropic", "claude-sonnet-4-5")
    chosen = {"workspace_id": "homelab", "model": "openai/vendor/model-x"}
    assert await choose(made, **chosen) == ("openai", "vendor/model-x")


async def test_the_registry_fails_over() -> None:
    made = make_registry()
    made.set_failover(["anthropic/claude-opus-4-6", "openai/gpt-4.1"])
    first = ("anthropic/claude-sonnet-4-5",)
    assert await choose(made, exclude=first) == ("anthropic", "claude-opus-4-6")
    both = (*first, "anthropic/claude-opus-4-6")
    assert await choose(made, exclude=both) == ("openai", "gpt-4.1")
    down = make_registry(anthropic=FakeProvider("anthropic", available=False))
    down.set_failover(["anthropic/claude-opus-4-6", "openai/gpt-4.1"])
    assert await choose(down) == ("openai", "gpt-4.1")


async def test_if_every_provider_fails_each_cause_is_named() -> None:
    made = make_registry(
        anthropic=FakeProvider("anthropic", available=False),
        openai=FakeProvider("openai", available=False),
    )
    made.set_failover(["openai/gpt-4.1"])
    with pytest.raises(AllProvidersUnavailable, match="all providers") as error:
        await made.route(ModelRequest())
    assert error.value.code == "provider.all_unavailable"
    for name in ("anthropic/claude-sonnet-4-5", "openai/gpt-4.1"):
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("budget", "window"),
    [
        (Budget(max_session_tokens=100, used_session_tokens=100), "budget"),
        (Budget(max_session_tokens=100, used_session_tokens=101), "budget"),
        (Budget(max_hour_usd=1.0, used_hour_usd=1.0), "hour"),
        (Budget(max_day_usd=5.0, used_day_usd=7.5), "day"),
    ],
)
async def test_a_spent_budget_is_refused(budget: Budget, window: str) -> None:
    with pytest.raises(BudgetExceeded, match="budget") as error:
        await make_registry().route(ModelRequest(budget=budget))
    assert window in str(error.value)
    assert error.value.code == "provider.budget_exceeded"


@pytest.mark.parametrize(
    "budget",
    [
        Budget(),
        Budget(max_session_tokens=100, used_session_tokens=99),
        Budget(used_session_tokens=10**9, used_hour_usd=1e9, used_day_usd=1e9),
        Budget(max_hour_usd=1.0, used_hour_usd=0.99),
    ],
)
async def test_a_budget_with_something_left_is_used(budget: Budget) -> None:
    assert (await choose(make_registry(), budget=budget))[0] == "anthropic"


@pytest.mark.parametrize("name", ["gpt-4.1", "nobody/model", "", "/x", "openai/"])
def test_malformed_model_names_are_refused(name: str) -> None:
    made = make_registry()
    with pytest.raises(ConfigError):
        made.set_default(name)
    with pytest.raises(ConfigError):
        made.set_override("homelab", name)
    with pytest.raises(ConfigError):
        made.set_failover([name])
