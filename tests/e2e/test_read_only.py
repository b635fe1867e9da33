"""A primary becomes a replica, as in a planned failover, and a primary again: workers wait."""

import pytest
import redis

from tests.workers.stack import Stack, say, short_folder, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("fleets"),
]


async def test_workers_outlive_a_server_that_takes_no_writes() -> None:
    with short_folder() as folder, Stack(folder, MODELS__DEFAULT="echo/echo") as stack:
        workers = {role: stack.worker(role) for role in ("routing", "agent", "outbound")}
        with redis.Redis.from_url(stack.valkey.url) as server:
            server.execute_command("REPLICAOF", "127.0.0.1", "1")
            for role in workers:  # each has asked for work by then, and was refused
                wait_until(lambda role=role: "takes no writes" in stack.log(role), within=20)
            server.execute_command("REPLICAOF", "NO", "ONE")
        async with stack.gateway() as gateway:
            await say(gateway, "c", "hi")
            await until(gateway, "c", "reply", within=20)
        assert [worker.poll() for worker in workers.values()] == [None, None, None]
