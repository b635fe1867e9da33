"""What `/metrics` says of models that rest, of money, of processes and their queues."""

from sigil.errors import StoreFull
from sigil.lanes.effects import Stage
from sigil.lanes.fleet import LIVE_S, ProcessRecord
from sigil.money.store import Limit
from sigil.stores.base import Memory
from sigil.testing import age_processes, end_cooldowns
from sigil.web.ops.metrics import Metrics


class Backlogs:
    """Wake-ups of which some wait."""

    lanes_per_wakeup = 1

    def wake(self, lane: str) -> None:
        raise AssertionError("metrics wake nobody")

    async def backlog(self, stage: Stage) -> int:
        return {Stage.ROUTE: 0, Stage.TURN: 70, Stage.DELIVER: 3}[stage]


async def rest(stores, provider, model, key, reason, seconds):
    grant = await stores.health.admit(provider, model, [key], None, "a-token")
    await stores.health.record_failure(grant, reason, (seconds,))


async def render(stores):
    return (await Metrics(stores, Backlogs()).render())[0].decode()


async def lines(stores):
    body = await render(stores)
    found = [line for line in body.splitlines() if line.startswith("sigil_provider")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in found)}


async def test_models_that_rest_are_told_without_their_keys(stores):
    assert await lines(stores) == {}
    await rest(stores, "openai", "gpt-x", "key-a", "rate_limited", 30)
    await rest(stores, "openai", "gpt-x", "key-b", "rate_limited", 600)
    await rest(stores, "openai", "gpt-x", "key-c", "auth", 900)
    await rest(stores, "local", 'a "model"', "", "network", 60)
    told = await lines(stores)
    limited = 'sigil_provider_cooldown_seconds{model="gpt-x",provider="openai",reason='
    assert 590 < told[f'{limited}"rate_limited"}}'] <= 600
    assert 890 < told[f'{limited}"auth"}}'] <= 900
    assert told['sigil_provider_keys_resting{model="gpt-x",provider="openai"}'] == 3
    assert told[r'sigil_provider_keys_resting{model="a \"model\"",provider="local"}'] == 1
    assert not [name for name in told if "key-" in name]
    await end_cooldowns(stores)
    assert (await lines(stores))[f'{limited}"auth"}}'] == 0
    await stores.health.reset()
    assert await lines(stores) == {}


async def test_the_number_of_series_is_bounded(stores):
    for number in range(120):
        await rest(stores, "openai", f"model-{number}", "", "server", 30)
    assert len(await lines(stores)) == 200


async def test_the_money_of_the_running_windows_is_told(stores):
    await stores.budgets.reserve("a", [Limit("all")], 500_000, 1, ttl=60)
    await stores.budgets.reserve("b", [Limit("all")], 250_000, 1, ttl=60)
    await stores.budgets.settle("b", 125_000)
    text = await render(stores)
    for window in ("hour", "day"):
        assert f'sigil_budget_dollars{{state="spent",window="{window}"}} 0.125' in text
        assert f'sigil_budget_dollars{{state="reserved",window="{window}"}} 0.5' in text


def agent(id, **fields):
    return ProcessRecord(id, ("agent",), "1.0", "c0ffee", "web-1", 1, **fields)


async def test_live_and_silent_processes_and_their_slots_are_told(stores):
    await stores.fleet.report(agent("a", slots=100, slots_in_use=100))
    await age_processes(stores, LIVE_S + 1)
    await stores.fleet.report(agent("b", slots=200, slots_in_use=7))
    await stores.fleet.report(agent("c", slots=200, slots_in_use=1))
    text = await render(stores)
    assert 'sigil_processes{role="agent",state="live"} 2.0' in text
    assert 'sigil_processes{role="agent",state="silent"} 1.0' in text
    assert 'sigil_processes{role="outbound",state="live"} 0.0' in text
    assert 'sigil_slots{role="agent"} 400.0' in text
    assert 'sigil_slots_in_use{role="agent"} 8.0' in text


async def test_the_wakeups_that_wait_are_told_by_stage(stores):
    text = await render(stores)
    assert 'sigil_wakeups_waiting{stage="turn"} 70.0' in text
    assert 'sigil_wakeups_waiting{stage="deliver"} 3.0' in text


async def test_the_memory_of_the_store_and_why_it_refuses_are_told(stores, monkeypatch):
    async def read_memory():
        return Memory(950, 1000, takes_messages=False)

    text = await render(stores)
    assert 'sigil_store_refuses{reason="store.full"} 0.0' in text
    monkeypatch.setattr(stores.backend, "read_memory", read_memory)
    monkeypatch.setattr(stores.backend, "check_room", fail_as_full)
    text = await render(stores)
    assert "sigil_store_memory_bytes 950.0" in text
    assert "sigil_store_memory_limit_bytes 1000.0" in text
    assert 'sigil_store_refuses{reason="store.full"} 1.0' in text
    assert 'sigil_store_refuses{reason="store.read_only"} 0.0' in text


async def fail_as_full():
    raise StoreFull("the memory of Redis is full.")
