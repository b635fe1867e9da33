"""What is known of the processes: who lives, who is silent, and what all of them understand."""

from dataclasses import replace

import pytest

from sigil.lanes.fleet import (
    KEPT_S,
    LIVE_S,
    ProcessRecord,
    choose_lanes_per_wakeup,
    describe_silence,
    find_missing_roles,
)
from sigil.testing import age_processes

AGENT = ProcessRecord(
    *("a", ("agent",), "1.2", "c0ffee", "web-3", 4711), slots=200, slots_in_use=7, wakeup_lanes=32
)
ROUTING = ProcessRecord("r", ("routing",), "1.2", "c0ffee", "web-3", 4712, wakeup_lanes=32)
OUTBOUND = ProcessRecord("o", ("outbound",), "1.2", "c0ffee", "web-3", 4713, wakeup_lanes=32)
GATEWAY = ProcessRecord("g", ("gateway",), "1.2", "c0ffee", "web-1", 1)


async def test_a_record_comes_back_as_it_was_written(stores):
    await stores.fleet.report(replace(AGENT, uptime=60.0))
    [known] = await stores.fleet.list()
    assert replace(known, silence=0.0, started_at=0.0) == replace(AGENT, uptime=60.0)
    seconds, _ = await stores.backend.redis.time()
    assert seconds - 65 < known.started_at < seconds - 58
    assert 0 <= known.silence < 5
    assert known.is_live


async def test_a_process_that_reports_hears_of_all_others(stores):
    await stores.fleet.report(GATEWAY)
    known = await stores.fleet.report(AGENT)
    assert [each.id for each in known] == ["g", "a"]
    known = await stores.fleet.report(replace(AGENT, slots_in_use=8))
    assert [each.slots_in_use for each in known] == [0, 8]


async def test_a_process_that_ends_leaves_no_record(stores):
    await stores.fleet.report(AGENT)
    await stores.fleet.remove(AGENT.id)
    await stores.fleet.remove(AGENT.id)
    assert await stores.fleet.list() == []


async def test_a_process_that_writes_nothing_is_silent_and_then_forgotten(stores):
    await stores.fleet.report(AGENT)
    await age_processes(stores, LIVE_S + 15)
    [known] = await stores.fleet.list()
    assert not known.is_live
    expected = "agent worker web-3:4711 has been silent for 35 s: it hangs or was killed"
    assert describe_silence(known) == expected
    await age_processes(stores, KEPT_S)
    assert await stores.fleet.list() == []
    await stores.fleet.report(GATEWAY)
    names = await stores.backend.redis.hkeys(stores.backend.keys.fleet())
    assert names == [b"g"]


async def test_a_silent_process_that_writes_again_is_live(stores):
    await stores.fleet.report(AGENT)
    await age_processes(stores, LIVE_S + 1)
    [known] = await stores.fleet.report(AGENT)
    assert known.is_live


async def test_records_of_other_versions_are_read(stores):
    await stores.fleet.report(AGENT)
    key = stores.backend.keys.fleet()
    value = (await stores.backend.redis.hget(key, "a")).decode()
    newer = value.replace('"pid"', '"invented_later": [1], "pid"').replace('"slots": 200, ', "")
    await stores.backend.redis.hset(key, "a", newer)
    await stores.backend.redis.hset(key, "t", value.replace('"agent"', '"invented-role"'))
    known = await stores.fleet.list()
    assert [(each.roles, each.pid, each.slots) for each in known] == [
        (("agent",), 4711, 0),
        (("invented-role",), 4711, 200),
    ]


@pytest.mark.parametrize("broken", ["", "1795525578000 {}", "1795525578000 []", "1795525578000"])
async def test_a_record_that_nobody_can_read_is_left_out(stores, broken):
    """It must not end every process of the fleet, each of which reads it."""
    await stores.backend.redis.hset(stores.backend.keys.fleet(), "a", broken)
    assert [each.id for each in await stores.fleet.report(ROUTING)] == ["r"]
    await stores.backend.redis.hset(stores.backend.keys.fleet(), "a", broken)
    assert [each.id for each in await stores.fleet.list()] == ["r"]


async def test_roles_without_a_live_worker_are_missing(stores):
    assert find_missing_roles(await stores.fleet.list()) == ["routing", "agent", "outbound"]
    await stores.fleet.report(replace(AGENT, roles=("agent", "outbound")))
    await stores.fleet.report(GATEWAY)
    assert find_missing_roles(await stores.fleet.list()) == ["routing"]
    await age_processes(stores, LIVE_S + 1)
    assert find_missing_roles(await stores.fleet.report(ROUTING)) == ["agent", "outbound"]


@pytest.mark.parametrize(
    ("records", "lanes"),
    [
        ([], 1),
        ([GATEWAY], 1),
        ([GATEWAY, AGENT, ROUTING], 32),
        ([AGENT, replace(ROUTING, wakeup_lanes=8), OUTBOUND], 8),
        ([AGENT, replace(ROUTING, wakeup_lanes=1, silence=LIVE_S + 1)], 32),
        ([replace(AGENT, silence=LIVE_S + 1)], 1),
        ([replace(AGENT, wakeup_lanes=0)], 1),
    ],
)
def test_a_wakeup_names_as_many_lanes_as_every_live_worker_understands(records, lanes):
    assert choose_lanes_per_wakeup(records) == lanes
