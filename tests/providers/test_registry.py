from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil import providers
from sigil.errors import (
    AllProvidersUnavailable,
    ConfigError,
    ErrorKind,
    ProviderError,
    ProviderNotFound,
)
from sigil.providers import (
    ChatRequest,
    EventType,
    Message,
    ModelInfo,
    ModelRequest,
    ProviderRegistry,
)
from sigil.providers.chain.health import Health
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.testing import end_cooldowns, fake_stores

OPUS, SONNET, GPT = "anthropic/claude-opus-4-6", "anthropic/claude-sonnet-4-5", "openai/gpt-4.1"


@pytest.fixture
def registry() -> ProviderRegistry:
    registry = ProviderRegistry()
    for name in ("anthropic", "openai"):
        registry.register(name, FakeProvider(name))
    registry.set_default(SONNET)
    return registry


def unplug(registry: ProviderRegistry, name: str) -> None:
    registry.register(name, FakeProvider(name, available=False))


async def chosen(registry: ProviderRegistry, **fields: Any) -> str:
    provider, model = await registry.route(ModelRequest(**fields))
    return f"{provider.name}/{model}"


def test_every_exported_name_is_there() -> None:
    for name in providers.__all__:
        assert getattr(providers, name).__name__ == name
    assert set(providers.__all__) <= set(dir(providers))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = providers.nothing_like_it


def test_the_registry_imports_no_sdk() -> None:
    code = (
        "import sys; from sigil.providers import ProviderRegistry; ProviderRegistry(); "
        "sys.exit(any(m in sys.modules for m in ('openai', 'httpx2', 'anthropic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_get_gives_what_was_registered(registry: ProviderRegistry) -> None:
    assert registry.get("anthropic").name == "anthropic"
    with pytest.raises(ProviderNotFound, match=r"nobody.*anthropic, openai"):
        registry.get("nobody")


async def test_the_default_answers_when_nothing_else_is_said(registry: ProviderRegistry) -> None:
    assert await chosen(registry) == SONNET


async def test_the_workspaces_override_wins_over_the_default(registry: ProviderRegistry) -> None:
    registry.set_override("homelab", GPT)
    assert await chosen(registry, workspace_id="homelab") == GPT
    assert await chosen(registry, workspace_id="another") == SONNET
    registry.set_override("homelab", None)
    assert await chosen(registry, workspace_id="homelab") == SONNET
    registry.set_override("homelab", None)


async def test_the_requests_model_wins_over_the_override(registry: ProviderRegistry) -> None:
    registry.set_override("homelab", GPT)
    assert await chosen(registry, workspace_id="homelab", model=OPUS) == OPUS


async def test_a_models_name_is_split_at_the_first_slash(registry: ProviderRegistry) -> None:
    provider, model = await registry.route(ModelRequest(model="openai/vendor/model-x"))
    assert (provider.name, model) == ("openai", "vendor/model-x")


async def test_an_excluded_model_gives_way_to_the_chain(registry: ProviderRegistry) -> None:
    registry.set_failover([SONNET, OPUS, GPT])
    assert await chosen(registry, exclude=(SONNET,)) == OPUS
    assert await chosen(registry, exclude=[SONNET, OPUS]) == GPT
    assert await chosen(registry, exclude=("anthropic", "claude-sonnet-4-5")) == SONNET


async def test_an_unavailable_provider_gives_way_to_the_chain(registry: ProviderRegistry) -> None:
    registry.set_failover([OPUS, GPT])
    unplug(registry, "anthropic")
    assert await chosen(registry) == GPT


async def test_what_was_passed_over_is_not_forgotten(registry: ProviderRegistry) -> None:
    registry.set_override("homelab", GPT)
    unplug(registry, "openai")
    assert await chosen(registry, workspace_id="homelab", model="openai/other") == SONNET


class Broken(FakeProvider):
    async def available(self) -> bool:
        raise RuntimeError("secret detail")


async def test_all_unavailable_names_each_cause(registry: ProviderRegistry) -> None:
    registry.register("broken", Broken("broken"))
    registry.set_failover([OPUS, GPT, "broken/x"])
    unplug(registry, "openai")
    with pytest.raises(AllProvidersUnavailable, match="all providers") as caught:
        await registry.route(ModelRequest(model="gone/model", exclude=(SONNET, OPUS)))
    assert list(caught.value.causes) == ["gone/model", SONNET, OPUS, GPT, "broken/x"]
    assert "no provider named 'gone'" in caught.value.causes["gone/model"]
    assert caught.value.causes[OPUS] == "excluded"
    assert caught.value.causes[GPT] == "not available"
    assert "RuntimeError" in caught.value.causes["broken/x"]
    assert "secret detail" not in str(caught.value)
    assert all(name in str(caught.value) for name in caught.value.causes)


async def test_nothing_configured_is_unavailable_too() -> None:
    with pytest.raises(AllProvidersUnavailable, match="all providers"):
        await ProviderRegistry().route(ModelRequest())


async def test_a_model_of_a_provider_that_left_is_answered_by_the_next(
    registry: ProviderRegistry,
) -> None:
    assert await chosen(registry, model="gone/model") == SONNET


@pytest.mark.parametrize("name", ["claude", "", "/model", "anthropic/", "gone/model"])
def test_names_are_checked_when_they_are_set(registry: ProviderRegistry, name: str) -> None:
    with pytest.raises(ConfigError):
        registry.set_default(name)
    with pytest.raises(ConfigError):
        registry.set_override("homelab", name)
    with pytest.raises(ConfigError):
        registry.set_failover([GPT, name])


async def test_a_chain_that_is_refused_changes_nothing(registry: ProviderRegistry) -> None:
    registry.set_failover([OPUS])
    with pytest.raises(ConfigError):
        registry.set_failover([GPT, "gone/model"])
    assert await chosen(registry, exclude=(SONNET,)) == OPUS


async def test_a_request_for_a_malformed_name_is_an_error(registry: ProviderRegistry) -> None:
    with pytest.raises(ConfigError, match="provider/model"):
        await registry.route(ModelRequest(model="claude"))


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_providers_name_has_no_slash(registry: ProviderRegistry, name: str) -> None:
    with pytest.raises(ConfigError):
        registry.register(name, FakeProvider("x"))


async def test_the_chain_answers_with_the_first_that_can(registry: ProviderRegistry) -> None:
    registry.set_failover([GPT])
    unplug(registry, "anthropic")
    chain = registry.chain(ModelRequest(model="gone/model"))
    request = ChatRequest("ignored", [Message("user", "Hello")])
    assert "".join([event.text async for event in chain.chat(request)]) == "ok"
    assert [attempt.model for attempt in chain.attempts] == [GPT]


async def test_a_chain_of_nothing_names_every_cause(registry: ProviderRegistry) -> None:
    unplug(registry, "anthropic")
    chain = registry.chain(ModelRequest(model="gone/model"))
    events = [event async for event in chain.chat(ChatRequest("", [Message("user", "Hello")]))]
    assert [event.type for event in events] == [EventType.ERROR]
    error = events[0].error
    assert isinstance(error, AllProvidersUnavailable)
    assert list(error.causes) == ["gone/model", SONNET]
    assert error.kind is ErrorKind.UNAVAILABLE


SECRET = "sk-plugin-0123456789"


class Closing(FakeProvider):
    closed = False

    async def aclose(self) -> None:
        self.closed = True
        if self.name == "broken":
            raise ValueError(SECRET)


async def test_closing_reaches_those_that_hold_something(registry: ProviderRegistry) -> None:
    provider = Closing("c")
    registry.register("c", provider)
    await registry.aclose()
    assert provider.closed


NAMES = st.sampled_from([f"{p}/{m}" for p in "abc" for m in ("x", "y", "v/z")])


@given(
    default=st.none() | NAMES,
    override=st.none() | NAMES,
    model=st.none() | NAMES,
    failover=st.lists(NAMES, max_size=6),
    exclude=st.frozensets(NAMES),
    down=st.frozensets(st.sampled_from("abc")),
)
def test_the_order_holds_for_any_configuration(
    default: str | None,
    override: str | None,
    model: str | None,
    failover: list[str],
    exclude: frozenset[str],
    down: frozenset[str],
) -> None:
    registry = ProviderRegistry()
    for name in "abc":
        registry.register(name, FakeProvider(name, available=name not in down))
    if default is not None:
        registry.set_default(default)
    registry.set_override("w", override)
    registry.set_failover(failover)
    wanted = [n for n in (model, override, default, *failover) if n is not None]
    allowed = [n for n in wanted if n not in exclude and n[0] not in down]
    seen: list[str] = []

    async def drain() -> None:
        """Routes again and again, excluding what was given, until nothing is left."""
        gone = set(exclude)
        while True:
            request = ModelRequest(workspace_id="w", model=model, exclude=gone)
            provider, own_name = await registry.route(request)
            seen.append(f"{provider.name}/{own_name}")
            gone.add(seen[-1])

    with pytest.raises(AllProvidersUnavailable) as caught:
        asyncio.run(drain())
    assert seen == list(dict.fromkeys(allowed))
    assert not exclude & set(seen)
    assert set(caught.value.causes) == set(wanted)


async def test_only_providers_of_configured_models_are_prepared() -> None:
    class Preparing(FakeProvider):
        prepared = 0

        async def prepare(self) -> None:
            self.prepared += 1
            if self.name == "broken":
                raise RuntimeError("not here")

    names = ("default", "broken", "override", "failover", "unused")
    providers = {name: Preparing(name) for name in names}
    registry = ProviderRegistry()
    for name, provider in providers.items():
        registry.register(name, provider)
    registry.set_default("default/m")
    registry.set_override("home", "override/m")
    registry.set_failover(["broken/m", "failover/m", "failover/n"])
    await registry.prepare()
    assert [provider.prepared for provider in providers.values()] == [1, 1, 1, 1, 0]


async def test_a_process_that_starts_forgets_keys_that_were_replaced() -> None:
    stores = fake_stores()
    for key in ("old", "new"):
        grant = await stores.health.admit("lab", "m", [key], None, "token")
        await stores.health.record_failure(grant, "auth", (600.0,))
    registry = ProviderRegistry(Health(stores.health))
    registry.register("lab", {"new": FakeProvider("lab")})
    registry.set_default("lab/m")
    await registry.prepare()
    assert [each.key for each in await stores.health.list_cooldowns()] == ["new"]


async def test_the_vendor_of_an_unknown_model_is_asked_what_it_can_do() -> None:
    class Asked(FakeProvider):
        def __init__(self, name: str, error: ProviderError | None = None) -> None:
            super().__init__(name)
            self.asked, self.error = 0, error
            self.known = {"known": ModelInfo("known", tools=True)}

        def model_info(self, model: str) -> ModelInfo:
            return self.known.get(model, ModelInfo(model))

        async def refresh_models(self) -> list[ModelInfo]:
            self.asked += 1
            if self.error is not None:
                raise self.error
            self.known["new"] = ModelInfo("new", max_context_tokens=99_999)
            return list(self.known.values())

    local, away, built_in = Asked("local"), Asked("away", ProviderError("no")), Asked("built-in")
    registry = ProviderRegistry()
    for provider in (local, away, built_in):
        registry.register(provider.name, provider)
    registry.set_default("away/new")
    registry.set_failover(["local/new", "built-in/known"])
    await registry.prepare()
    assert (local.asked, away.asked, built_in.asked) == (1, 1, 0)
    assert (await registry.info("local/new")).max_context_tokens == 99_999
    assert (await registry.info("away/new")).max_context_tokens == 8192


# Plug-ins that break


async def test_one_that_cannot_be_closed_keeps_none_of_the_others_open() -> None:
    registry = ProviderRegistry()
    providers = [Closing("broken"), Closing("b")]
    for each in providers:
        registry.register(each.name, each)
    await registry.aclose()
    assert all(each.closed for each in providers)


async def test_one_that_cannot_be_prepared_does_not_end_its_worker() -> None:
    class Unanswered(FakeProvider):
        def model_info(self, model: str) -> ModelInfo:
            return ModelInfo(model)

        async def refresh_models(self) -> list[ModelInfo]:
            raise ValueError(SECRET)

    registry = ProviderRegistry()
    registry.register("a", Unanswered("a"))
    registry.set_default("a/m")
    await registry.prepare()
    assert await registry.info("a/m") == ModelInfo("m")


async def test_one_that_cannot_tell_its_models_says_so_in_one_class() -> None:
    class Failing(FakeProvider):
        async def list_models(self) -> list[ModelInfo]:
            raise ValueError(SECRET)

    registry = ProviderRegistry()
    registry.register("a", Failing("a"))
    with pytest.raises(
        ProviderError, match=r"a: its models are not known \(ValueError\)"
    ) as caught:
        await registry.list_models("a")
    assert caught.value.__context__ is None


async def test_what_rests_is_passed_over() -> None:
    stores = fake_stores()
    registry = ProviderRegistry(Health(stores.health))
    for provider in (ScriptedProvider([ProviderError("no")], "a"), FakeProvider("b")):
        registry.register(provider.name, provider)
    registry.set_default("a/m")
    registry.set_failover(["b/m"])
    chain = registry.chain(ModelRequest())
    request = ChatRequest("", [Message("user", "Hello")])
    assert [event.type async for event in chain.chat(request)][-1] is EventType.DONE
    assert await chosen(registry) == "b/m"
    await end_cooldowns(stores)
    assert await chosen(registry) == "a/m"
