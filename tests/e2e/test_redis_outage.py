"""Redis is killed while turns run and Flower looks on: every worker lives and goes on."""

import subprocess
import sys
import time

import pytest

from tests.workers.stack import Stack, events, say, short_folder, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("fleets"),
]

ROLES = ("routing", "agent", "outbound")


def control(stack: Stack) -> set[str]:
    """The workers that answer a ping over Celery's remote control."""
    found = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", "inspect", "ping", "--timeout", "2"],
        env=stack.env,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return {role for role in ROLES if f"{role}-" in found.stdout}


async def test_a_killed_redis_leaves_every_worker_alive():
    with short_folder() as folder, Stack(folder) as stack:
        workers = {role: stack.worker(role) for role in ROLES}
        stack.start(
            "celery", "-A", "workers", "flower", "--address=127.0.0.1", "--port=0", log="flower.log"
        )
        async with stack.gateway() as gateway:
            for number in range(6):
                await say(gateway, f"c{number}", "one two three four five six seven eight")
            for number in range(6):
                await until(gateway, f"c{number}", "draft", within=20)

            stack.restart_valkey(down_s=2)
            back = time.monotonic()
            await say(gateway, "new", "hi")
            await until(gateway, "new", "reply", within=15)
            print(f"a new message was answered {time.monotonic() - back:.1f} s after the restart")

            for number in range(6):
                await until(gateway, f"c{number}", "reply", within=40)
                assert len(await events(gateway, f"c{number}", "reply")) == 1
        assert {role: worker.poll() for role, worker in workers.items()} == dict.fromkeys(ROLES)
        wait_until(lambda: control(stack) == set(ROLES), within=30, every=0.5)
