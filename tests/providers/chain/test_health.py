"""Which failures count, for how long, and what a store that is away costs; and what it means for
the chains of all workers."""

from __future__ import annotations

import asyncio
import math

import pytest

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ErrorKind,
    PriceUnknown,
    ProviderError,
    StoreError,
)
from sigil.providers import ChatRequest
from sigil.providers.chain import health as health_policy
from sigil.providers.chain import policy
from sigil.providers.chain.health import Health
from sigil.providers.chain.health_store import Cooldown, KeyGrant
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.testing import end_cooldowns, expire_probes
from tests.providers.chain.chains import (
    DONE,
    HALF,
    REQUEST,
    Purse,
    brief,
    chain_of,
    collect,
    failure,
)

SHORT = {
    ErrorKind.RATE_LIMITED,
    ErrorKind.OVERLOADED,
    ErrorKind.SERVER,
    ErrorKind.NETWORK,
    ErrorKind.TIMEOUT,
    ErrorKind.UNAVAILABLE,
}
COOLDOWNS = dict.fromkeys(SHORT, (30, 60, 120, 120)) | {
    ErrorKind.AUTH: (600, 3600, 3600),
    ErrorKind.BILLING: (3600, 86_400, 86_400),
}
ANSWERS = set(ErrorKind) - set(COOLDOWNS)


@pytest.fixture
def health(stores):
    return Health(stores.health)


def admit(health, *keys):
    return health.admit("openai", "model-1", keys or ("key-a",), "session-1")


def look(health):
    return health.find_cooldown("openai", "model-1", ["key-a"])


@pytest.mark.parametrize("kind", sorted(COOLDOWNS))
async def test_each_kind_rests_by_its_own_steps(stores, health, kind):
    for failures, seconds in enumerate(COOLDOWNS[kind], 1):
        await health.report(await admit(health), ProviderError("no", kind=kind))
        cooldown = await admit(health)
        assert isinstance(cooldown, Cooldown)
        assert (cooldown.reason, cooldown.failures) == (kind.value, failures)
        assert seconds - 1 < cooldown.seconds <= seconds
        await end_cooldowns(stores)


async def test_configured_steps_are_kept(stores):
    health = Health(stores.health, (5.0,))
    await health.report(await admit(health), ProviderError("no"))
    assert round((await look(health)).seconds) == 5


@pytest.mark.parametrize("kind", sorted(ANSWERS))
async def test_the_requests_own_faults_never_count_and_a_probe_with_one_was_answered(
    stores, health, kind
):
    await health.report(await admit(health), ProviderError("no", kind=kind))
    assert await stores.health.list_cooldowns() == []
    await health.report(await admit(health), ProviderError("no"))
    await end_cooldowns(stores)
    await health.report(await admit(health), ProviderError("no", kind=kind))
    assert await stores.health.list_cooldowns() == []


@pytest.mark.parametrize(
    "error",
    [
        BudgetExceeded("spent", window="hour"),
        PriceUnknown("openai/model-1"),
        AllProvidersUnavailable({}),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_sigil_itself_refused_says_nothing_about_the_vendor(stores, health, error):
    await health.report(await admit(health), error)
    assert await stores.health.list_cooldowns() == []
    await health.report(await admit(health), ProviderError("no"))
    await end_cooldowns(stores)
    await health.report(await admit(health), error)
    ((cooldown,), probe) = await stores.health.list_cooldowns(), await admit(health)
    assert (cooldown.failures, cooldown.probing) == (1, False)
    assert probe.probe


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(0.0, 1), (7.0, 7), (90.0, 90), (9e9, 3600), (math.inf, 3600), (math.nan, 3600)],
)
async def test_retry_after_replaces_the_step_within_bounds(health, retry_after, seconds):
    error = ProviderError("no", kind=ErrorKind.RATE_LIMITED, retry_after=retry_after)
    await health.report(await admit(health), error)
    cooldown = await look(health)
    assert seconds - 0.9 < cooldown.seconds <= seconds


async def test_an_answered_probe_ends_the_cooldown(stores, health):
    await health.report(await admit(health), ProviderError("no"))
    await end_cooldowns(stores)
    probe = await admit(health)
    assert (await look(health)).probing
    await health.report(probe, None)
    assert await admit(health) == KeyGrant("openai", "model-1", "key-a")


async def test_a_cancelled_probe_leaves_it_to_the_next(stores, health):
    await health.report(await admit(health), ProviderError("no"))
    await end_cooldowns(stores)
    await health.release(await admit(health))
    assert (await admit(health)).probe


async def test_a_probe_is_kept_for_as_long_as_its_call_takes(stores):
    health = Health(stores.health, renew_every=0.01)
    await health.report(await admit(health), ProviderError("no"))
    await end_cooldowns(stores)
    probe = await admit(health)
    async with asyncio.timeout(10), health.keep_probe(probe):
        await expire_probes(stores)
        while not (await stores.health.list_cooldowns())[0].probing:
            await asyncio.sleep(0.01)
        assert isinstance(await admit(health), Cooldown)
    await expire_probes(stores)
    assert (await admit(health)).probe


async def test_leaving_is_prompt_also_when_cancelled(stores):
    health = Health(stores.health, renew_every=3600)
    probe = KeyGrant("openai", "model-1", "key-a", probe=True, token="x")
    entered = asyncio.Event()

    async def call():
        async with health.keep_probe(probe):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await entered.wait()
    before = len(asyncio.all_tasks())
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled()
    assert len(asyncio.all_tasks()) == before - 2


class Away:
    """A store that does not answer; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, name):
        async def method(*_):
            self.asked += 1
            raise StoreError("Redis did not answer.")

        return method


async def test_a_store_that_is_away_costs_no_answer_but_admits_nobody():
    store = Away()
    health = Health(store, renew_every=0.01)
    probe = KeyGrant("openai", "model-1", "key-a", probe=True, token="x")
    async with asyncio.timeout(10), health.keep_probe(probe):
        while store.asked < 3:  # goes on trying
            await asyncio.sleep(0.01)
    await health.report(probe, None)
    await health.report(probe, ProviderError("no"))
    await health.release(probe)
    with pytest.raises(StoreError):
        await admit(health)
    with pytest.raises(StoreError):
        await look(health)


async def test_a_call_that_ends_well_asks_nothing_of_the_store():
    store = Away()
    health = Health(store)
    grant = KeyGrant("openai", "model-1", "key-a")
    await health.report(grant, None)
    await health.report(grant, ProviderError("no", kind=ErrorKind.FILTERED))
    await health.release(grant)
    async with health.keep_probe(grant):
        pass
    assert store.asked == 0


async def test_a_limited_key_of_several_rests_alone(stores, health):
    first = await admit(health, "key-a", "key-b")
    error = ProviderError("no", kind=ErrorKind.RATE_LIMITED, retry_after=60)
    await health.report(first, error)
    second = await admit(health, "key-a", "key-b")
    assert {first.key, second.key} == {"key-a", "key-b"}
    assert await health.find_cooldown("openai", "model-1", ["key-a", "key-b"]) is None
    await health.report(second, ProviderError("no", kind=ErrorKind.AUTH))
    both = await admit(health, "key-a", "key-b")
    assert (both.key, both.reason) == (first.key, "rate_limited")


# ------------------------------------------------------------------ chains that share it


async def test_a_model_that_failed_is_passed_over_by_every_other_chain(shared):
    broken, backup = ScriptedProvider([failure(), "well"], "a"), FakeProvider("b")
    health = Health(shared.health)
    for _ in range(3):
        assert await brief(chain_of(broken, backup, health=health)) == ["ok", "usage", "done"]
    assert len(broken.requests) == 1
    await end_cooldowns(shared)
    assert (await brief(chain_of(broken, backup, health=health)))[0] == "well"


async def test_all_resting_says_why_and_until_when(shared):
    health = Health(shared.health, steps=[30])
    broken = ScriptedProvider([failure(ErrorKind.SERVER)], "a")
    await collect(chain_of(broken, health=health))
    (event,) = await collect(chain_of(broken, health=health))
    assert isinstance(event.error, AllProvidersUnavailable)
    assert "server" in event.error.causes["a/m"]
    assert event.error.retry_in is not None
    assert 0 < event.error.retry_in <= 30
    assert len(broken.requests) == 1


async def test_a_chain_whose_probe_is_cancelled_leaves_the_model_to_the_next(shared):
    class Hangs(ScriptedProvider):
        asked = asyncio.Event()

        async def chat(self, request: ChatRequest):
            if len(self.requests) == 1:
                self.requests.append(request)
                self.asked.set()
                await asyncio.sleep(3600)
            async for event in super().chat(request):
                yield event

    model, health = Hangs([failure(), "well"], "a"), Health(shared.health)
    await collect(chain_of(model, health=health))
    await end_cooldowns(shared)
    probe = asyncio.create_task(collect(chain_of(model, health=health)))
    await model.asked.wait()
    (event,) = await collect(chain_of(model, health=health))
    assert "being tried" in str(event.error)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert (await brief(chain_of(model, health=health)))[0] == "well"


async def test_a_probe_that_speaks_for_a_while_lets_the_others_in(shared, monkeypatch):
    monkeypatch.setattr(health_policy, "PROVEN_S", 0)
    health = Health(shared.health)
    model = ScriptedProvider([failure(), [HALF, HALF, DONE], "side by side"], "a")
    await collect(chain_of(model, health=health))
    await end_cooldowns(shared)
    probe = chain_of(model, health=health).chat(REQUEST)
    await anext(probe)
    assert await shared.health.list_cooldowns() == []
    assert (await brief(chain_of(model, health=health)))[0] == "side by side"
    assert [event.text async for event in probe] == ["Hal", ""]


async def test_a_probe_that_has_only_begun_to_speak_keeps_the_others_out(shared):
    health = Health(shared.health)
    model = ScriptedProvider([failure(), [HALF, HALF, DONE]], "a")
    await collect(chain_of(model, health=health))
    await end_cooldowns(shared)
    probe = chain_of(model, health=health).chat(REQUEST)
    await anext(probe)
    assert (await brief(chain_of(model, health=health))) == ["error"]
    assert [event.text async for event in probe] == ["Hal", ""]
    assert await shared.health.list_cooldowns() == []


async def test_a_probe_that_is_cancelled_between_two_attempts_is_given_back(shared, monkeypatch):
    monkeypatch.setattr(policy, "QUICK_PAUSE_S", (3600, 3600))
    health = Health(shared.health)
    model = ScriptedProvider([failure(), failure(ErrorKind.NETWORK), "well"], "a")
    await collect(chain_of(model, health=health))
    await end_cooldowns(shared)
    probe = asyncio.create_task(collect(chain_of(model, health=health)))
    while len(model.requests) < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)  # it waits for its second attempt
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert (await brief(chain_of(model, health=health)))[0] == "well"


async def test_a_probe_that_could_not_be_paid_for_is_given_back(shared):
    health = Health(shared.health)
    model = ScriptedProvider([failure(), "well"], "dear")
    await collect(chain_of(model, health=health))
    await end_cooldowns(shared)
    away = Purse(error=StoreError("away"))
    with pytest.raises(StoreError):
        await collect(chain_of(model, health=health, meter=away))
    assert (await brief(chain_of(model, health=health)))[0] == "well"
