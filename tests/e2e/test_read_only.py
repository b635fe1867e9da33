"""A server that refuses what workers need, and then takes it again: workers wait."""

import pytest
import redis

from tests.workers.stack import Stack, say, short_folder, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("fleets"),
]

# A primary becomes a replica, as in a planned failover, and a primary again; a user loses a right.
REPLICA = ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "takes no writes")
RIGHTS = ("ACL SETUSER default resetkeys ~none", "ACL SETUSER default allkeys", "forbids a command")


@pytest.mark.parametrize(("refuse", "allow", "says"), [REPLICA, RIGHTS], ids=["replica", "rights"])
async def test_workers_outlive_a_server_that_refuses(refuse: str, allow: str, says: str) -> None:
    with short_folder() as folder, Stack(folder, MODELS__DEFAULT="echo/echo") as stack:
        workers = {role: stack.worker(role) for role in ("routing", "agent", "outbound")}
        with redis.Redis.from_url(stack.valkey.url) as server:
            server.execute_command(*refuse.split())
            for role in workers:  # each has asked for work, was refused, and has asked again
                wait_until(lambda role=role: stack.log(role).count(says) > 1, within=20)
            server.execute_command(*allow.split())
        async with stack.gateway() as gateway:
            await say(gateway, "c", "hi")
            await until(gateway, "c", "reply", within=20)
        assert [worker.poll() for worker in workers.values()] == [None, None, None]
