"""The records of real processes: workers that run, hang and end."""

import signal

import pytest

from sigil.lanes.fleet import LIVE_S
from sigil.testing import age_processes
from tests.workers.stack import Stack, until_so

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("processes"),
]


async def test_a_worker_that_hangs_is_noticed_and_one_that_ends_leaves_no_record(stack: Stack):
    agent = stack.worker("agent")
    async with stack.gateway() as gateway:
        stores = gateway.stores

        async def is_known(*, live: bool) -> bool:
            records = await stores.fleet.list()
            return [(each.pid, each.is_live) for each in records] == [(agent.pid, live)]

        await until_so(lambda: is_known(live=True), within=10)
        [record] = await stores.fleet.list()
        assert (record.roles, record.slots, record.slots_in_use) == (("agent",), 200, 0)
        agent.send_signal(signal.SIGSTOP)
        await age_processes(stores, LIVE_S + 1)
        assert await is_known(live=False)
        agent.send_signal(signal.SIGCONT)
        await until_so(lambda: is_known(live=True), within=10)
        agent.terminate()
        assert agent.wait(15) == 0, stack.log("agent")
        assert await stores.fleet.list() == []
