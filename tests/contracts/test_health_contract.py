"""What every store of shared health keeps to."""

import asyncio
import itertools

import pytest

from sigil.providers.chain.health_store import Cooldown, KeyGrant
from sigil.stores import connect
from sigil.testing import end_cooldowns, expire_probes

STEPS = (30.0, 60.0, 300.0)
_tokens = (f"token-{count}" for count in itertools.count())


@pytest.fixture
def health(stores):
    return stores.health


async def admit(health, keys=("key-a",), *, session=None, model="model-1", provider="openai"):
    return await health.admit(provider, model, list(keys), session, next(_tokens))


async def rested(health, keys=("key-a",), *, reason="server", rest=None, model="model-1"):
    """A first failure of each key; returns the grant of the last."""
    for key in keys:
        grant = await admit(health, (key,), model=model)
        await health.record_failure(grant, reason, STEPS, rest)
    return grant


async def test_nothing_known_nothing_rests(health):
    assert await admit(health) == KeyGrant("openai", "model-1", "key-a")
    assert await health.find_cooldown("openai", "model-1", ["key-a", "key-b"]) is None
    assert await health.list_cooldowns() == []
    assert await health.reset() == 0


async def test_a_failure_rests_the_model_under_its_key_for_everybody(health):
    cooldown = await health.record_failure(await admit(health), "rate_limited", STEPS)
    assert (cooldown.provider, cooldown.model, cooldown.key) == ("openai", "model-1", "key-a")
    assert (cooldown.reason, cooldown.failures, cooldown.probing) == ("rate_limited", 1, False)
    assert 29 < cooldown.seconds <= 30
    for seen in (
        await admit(health),
        await health.find_cooldown("openai", "model-1", ["key-a"]),
        *await health.list_cooldowns(),
    ):
        assert isinstance(seen, Cooldown)
        assert (seen.key, seen.reason, seen.failures) == ("key-a", "rate_limited", 1)
        assert 29 < seen.seconds <= 30


@pytest.mark.parametrize(
    "other",
    [
        {"model": "model-2"},
        {"provider": "google"},
        {"keys": ("key-b",)},
        {"keys": ("",)},
        {"model": "model-1:x/y%"},
    ],
)
async def test_others_do_not_rest_with_it(health, other):
    await rested(health)
    assert isinstance(await admit(health, **other), KeyGrant)


async def test_names_come_back_as_they_were(health):
    model = "org/a model:free%3A\udcff"
    await health.record_failure(await admit(health, ("",), model=model), "server", STEPS)
    assert [(c.model, c.key) for c in await health.list_cooldowns()] == [(model, "")]
    assert await health.reset("openai", model) == 1


async def test_after_the_cooldown_one_of_many_is_the_probe(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    assert await health.find_cooldown("openai", "model-1", ["key-a"]) is None
    assert [(c.seconds, c.probing) for c in await health.list_cooldowns()] == [(0, False)]
    answers = await asyncio.gather(*(admit(health) for _ in range(50)))
    probes = [answer for answer in answers if isinstance(answer, KeyGrant)]
    others = [answer for answer in answers if isinstance(answer, Cooldown)]
    assert [probe.probe for probe in probes] == [True]
    assert len(others) == 49
    assert {(c.probing, c.reason, c.seconds) for c in others} == {(True, "server", 0)}
    look = await health.find_cooldown("openai", "model-1", ["key-a"])
    assert look is not None
    assert look.probing


async def test_a_cooldown_is_over_when_its_time_has_come(health):
    await health.record_failure(await admit(health), "server", (0.05,))
    async with asyncio.timeout(10):
        while isinstance(answer := await admit(health), Cooldown):
            await asyncio.sleep(0.01)
    assert answer.probe


async def test_a_probe_that_is_answered_ends_it_all(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    await health.record_answer(await admit(health))
    assert await health.list_cooldowns() == []
    assert await admit(health) == KeyGrant("openai", "model-1", "key-a")
    assert (await health.record_failure(await admit(health), "server", STEPS)).failures == 1


async def test_each_failed_probe_takes_the_next_step_and_the_last_one_stays(stores, health):
    cooldown = await health.record_failure(await admit(health), "server", STEPS)
    for failures, seconds in ((2, 60), (3, 300), (4, 300)):
        await end_cooldowns(stores)
        cooldown = await health.record_failure(await admit(health), "timeout", STEPS)
        assert (cooldown.failures, cooldown.reason, cooldown.probing) == (
            failures,
            "timeout",
            False,
        )
        assert seconds - 1 < cooldown.seconds <= seconds


async def test_a_row_is_of_one_kind_of_failure(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    cooldown = await health.record_failure(await admit(health), "billing", (3600.0, 86_400.0))
    assert (cooldown.failures, round(cooldown.seconds)) == (1, 3600)
    await end_cooldowns(stores)
    cooldown = await health.record_failure(await admit(health), "billing", (3600.0, 86_400.0))
    assert (cooldown.failures, round(cooldown.seconds)) == (2, 86_400)


async def test_the_vendors_own_time_replaces_the_step_and_counts_in_the_row(stores, health):
    cooldown = await health.record_failure(await admit(health), "rate_limited", STEPS, 7.0)
    assert 6 < cooldown.seconds <= 7
    await end_cooldowns(stores)
    cooldown = await health.record_failure(await admit(health), "rate_limited", STEPS)
    assert (cooldown.failures, round(cooldown.seconds)) == (2, 60)


async def test_failures_side_by_side_count_once(stores, health):
    together = [await admit(health) for _ in range(5)]
    cooldowns = await asyncio.gather(
        *(health.record_failure(grant, "server", STEPS) for grant in together)
    )
    assert {cooldown.failures for cooldown in cooldowns} == {1}
    await end_cooldowns(stores)
    late = await health.record_failure(together[0], "timeout", STEPS)
    assert (late.failures, late.reason, late.seconds) == (1, "server", 0)
    probe = await admit(health)
    assert probe.probe
    assert (await health.record_failure(together[1], "timeout", STEPS)).probing
    assert (await health.record_failure(probe, "server", STEPS)).failures == 2
    assert (await health.record_failure(together[2], "server", STEPS)).failures == 2


async def test_a_failure_that_is_said_twice_counts_once(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    probe = await admit(health)
    assert (await health.record_failure(probe, "server", STEPS)).failures == 2
    again = await health.record_failure(probe, "server", STEPS)
    assert (again.failures, again.probing) == (2, False)


async def test_a_success_from_before_the_cooldown_ends_nothing(health):
    early = await admit(health)
    await rested(health)
    await health.record_answer(early)
    assert isinstance(await admit(health), Cooldown)


async def test_a_probe_that_is_given_back_goes_to_the_next_at_once(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    await health.release(await admit(health))
    assert [c.probing for c in await health.list_cooldowns()] == [False]
    again = await admit(health)
    assert again.probe
    assert (await health.record_failure(again, "server", STEPS)).failures == 2


async def test_a_probe_that_is_asked_for_again_is_the_same(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    first = await health.admit("openai", "model-1", ["key-a"], None, "mine")
    assert first == await health.admit("openai", "model-1", ["key-a"], None, "mine")
    assert first.probe


async def test_a_probe_of_a_dead_process_goes_to_the_next(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    lost = await admit(health)
    await expire_probes(stores)
    assert [(c.seconds, c.probing) for c in await health.list_cooldowns()] == [(0, False)]
    answers = await asyncio.gather(*(admit(health) for _ in range(10)))
    (heir,) = [answer for answer in answers if isinstance(answer, KeyGrant)]
    assert heir.probe

    for late in (health.record_answer, health.release, health.renew):
        await late(lost)
        assert [c.probing for c in await health.list_cooldowns()] == [True]
        assert isinstance(await admit(health), Cooldown)
    assert (await health.record_failure(lost, "server", STEPS)).probing
    await expire_probes(stores)
    await health.renew(lost)
    assert [c.probing for c in await health.list_cooldowns()] == [False]
    await health.record_answer(heir)
    assert isinstance(await admit(health), KeyGrant)


async def test_a_late_probe_that_nobody_replaced_still_counts(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    late = await admit(health)
    await expire_probes(stores)
    await health.record_answer(late)
    assert await health.list_cooldowns() == []


async def test_a_probe_that_is_renewed_stays_the_only_one(stores, health):
    await rested(health)
    await end_cooldowns(stores)
    probe = await admit(health)
    await expire_probes(stores)
    await health.renew(probe)
    assert isinstance(await admit(health), Cooldown)


async def test_keys_are_used_in_turn(health):
    used = [(await admit(health, ("key-a", "key-b", "key-c"))).key for _ in range(6)]
    assert sorted(used[:3]) == ["key-a", "key-b", "key-c"]
    assert used[3:] == used[:3]


async def test_a_session_keeps_its_key_and_others_take_turns(health):
    keys = ("key-a", "key-b")
    first = {name: (await admit(health, keys, session=name)).key for name in ("one", "two")}
    assert set(first.values()) == set(keys)
    for name in ("one", "one", "two", "one", "two"):
        assert (await admit(health, keys, session=name)).key == first[name]


async def test_a_key_that_rests_rests_alone_and_its_session_moves_for_good(stores, health):
    keys = ("key-a", "key-b", "key-c")
    own = await admit(health, keys, session="one")
    await health.record_failure(own, "rate_limited", STEPS)
    moved = await admit(health, keys, session="one")
    assert moved.key != own.key
    assert {(await admit(health, keys)).key for _ in range(6)} == set(keys) - {own.key}
    assert await health.find_cooldown("openai", "model-1", keys) is None
    await health.reset()
    assert (await admit(health, keys, session="one")).key == moved.key


async def test_a_session_whose_key_left_the_configuration_gets_another(health):
    own = await admit(health, ("key-a", "key-b"), session="one")
    (other,) = {"key-a", "key-b"} - {own.key}
    assert (await admit(health, (other, "key-z"), session="one")).key in {other, "key-z"}
    assert (await admit(health, (other,), session="one")).key == other


async def test_if_all_keys_rest_the_soonest_end_is_told(health):
    for key, rest in (("key-a", 40.0), ("key-b", 20.0), ("key-c", 60.0)):
        await rested(health, (key,), rest=rest)
    keys = ("key-a", "key-b", "key-c")
    for seen in (
        await admit(health, keys, session="one"),
        await admit(health, keys),
        await health.find_cooldown("openai", "model-1", keys),
    ):
        assert isinstance(seen, Cooldown)
        assert (seen.key, round(seen.seconds)) == ("key-b", 20)


async def test_of_several_keys_that_wait_each_has_its_own_probe(stores, health):
    keys = ("key-a", "key-b")
    await rested(health, keys)
    await end_cooldowns(stores)
    answers = await asyncio.gather(*(admit(health, keys) for _ in range(10)))
    probes = [answer for answer in answers if isinstance(answer, KeyGrant)]
    assert sorted(probe.key for probe in probes) == ["key-a", "key-b"]
    await health.record_answer(next(probe for probe in probes if probe.key == "key-a"))
    assert [cooldown.key for cooldown in await health.list_cooldowns()] == ["key-b"]


async def test_reset_forgets_all_a_providers_or_a_models(health):
    for provider, model in (("openai", "m"), ("openai", "n"), ("google", "m")):
        await health.record_failure(
            await admit(health, provider=provider, model=model), "server", STEPS
        )
    assert await health.reset("openai", "x") == 0
    assert await health.reset("openai", "m") == 1
    assert isinstance(await admit(health, model="m"), KeyGrant)
    assert await health.reset("google") == 1
    assert [(c.provider, c.model) for c in await health.list_cooldowns()] == [("openai", "n")]
    assert await health.reset() == 1
    assert await health.list_cooldowns() == []


async def test_of_keys_that_are_not_configured_any_more_nothing_is_known(health):
    await rested(health, ("old", "new"), reason="auth")
    await health.record_failure(await admit(health, ("",), provider="gone"), "auth", STEPS)
    old, new = [await health.begin_episode("openai", key, "auth") for key in ("old", "new")]
    assert await health.keep_only({"openai": {"new"}, "google": {""}}) == 2
    assert [cooldown.key for cooldown in await health.list_cooldowns()] == ["new"]
    assert await health.begin_episode("openai", "old", "auth") != old
    assert await health.begin_episode("openai", "new", "auth") == new


async def test_what_is_known_is_forgotten_in_the_end(stores, health):
    keys = ("key-a", "key-b")
    await rested(health, keys, rest=3600.0)
    await admit(health, ("key-c", "key-d"), session="one")
    redis, prefix = stores.backend.redis, stores.backend.keys.prefix
    ttls = {name: await redis.ttl(name) async for name in redis.scan_iter(f"{prefix}*")}
    assert len(ttls) == 4
    assert all(0 < ttl <= 86_400 + 3600 for ttl in ttls.values())


@pytest.mark.valkey
async def test_a_call_of_a_model_that_is_well_costs_one_read(valkey_url):
    stores = connect(valkey_url, prefix=f"{next(_tokens)}:")
    redis = stores.backend.redis
    await redis.config_resetstat()
    await stores.health.record_answer(await admit(stores.health, session="one"))
    stats = await redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    assert calls.pop("hget") == 1
    assert not set(calls) - {"config|resetstat", "info", "hello", "client|setinfo"}
    await stores.backend.close()


async def test_an_episode_has_one_name_until_a_probe_is_answered(stores, health):
    grant = await rested(health, reason="auth")
    name = await health.begin_episode("openai", "key-a", "auth")
    assert await health.begin_episode("openai", "key-a", "auth") == name
    await end_cooldowns(stores)
    probe = await admit(health)
    await health.release(probe)
    assert await health.begin_episode("openai", grant.key, "auth") == name
    await health.record_answer(await admit(health))
    assert await health.begin_episode("openai", "key-a", "auth") != name


async def test_a_reset_ends_the_episode(health):
    await rested(health, reason="billing")
    name = await health.begin_episode("openai", "key-a", "billing")
    assert await health.reset("openai") == 1
    assert await health.begin_episode("openai", "key-a", "billing") != name
