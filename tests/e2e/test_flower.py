"""Flower shows the workers, queues and tasks of a running Sigil, and nothing private."""

import asyncio
import itertools
import json
import socket
import urllib.error
import urllib.request

import pytest

from tests.workers.stack import Stack, say, short_folder, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("fleets"),
]

SECRET_WORDS = "the launch code is quetzal and the cat is called Tuna"
ROLES = ("routing", "agent", "outbound")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.URLError:
        return ""


async def test_flower_shows_the_work_and_no_words():
    with short_folder() as folder:
        # A path too long for a socket: the broker's URL holds a password.
        deep = folder / ("d" * 100)
        deep.mkdir()
        with Stack(deep, MODELS__DEFAULT="echo/echo") as stack:
            password = stack.valkey.url.split(":")[2].split("@")[0]
            for role in ROLES:
                stack.worker(role)
            port = free_port()
            argv = ("celery", "-A", "workers", "flower", "--address=127.0.0.1")
            # Without a login Flower 2 keeps its API shut, unless it is told otherwise.
            stack.env["FLOWER_UNAUTHENTICATED_API"] = "true"
            flower = stack.start(*argv, f"--port={port}", log="flower.log")

            def workers() -> dict[str, dict[str, object]]:
                assert flower.poll() is None, stack.log("flower")
                return json.loads(get(port, "/api/workers?refresh=1") or "{}")

            wait_until(lambda: len(workers()) == 3, within=40, every=0.5)

            def tasks() -> dict[str, dict[str, object]]:
                return json.loads(get(port, "/api/tasks") or "{}")

            def seen() -> set[object]:
                return {task["name"] for task in tasks().values() if task["state"] == "SUCCESS"}

            # Flower asks the workers for their events some seconds after it has found them.
            async with asyncio.timeout(40), stack.gateway() as gateway:
                for count in itertools.count(1):
                    await say(gateway, "c1", SECRET_WORDS)
                    await until(gateway, "c1", "reply", within=20, count=count)
                    if seen() >= {"sigil.route", "sigil.turn", "sigil.deliver"}:
                        break
            queues = {
                queue["name"] for info in workers().values() for queue in info["active_queues"]
            }
            assert queues == {"sigil.routing", "sigil.agent", "sigil.outbound"}
            stages = {str(t["args"]).split(":")[0] for t in tasks().values() if t["name"]}
            assert stages == {"('inbound", "('session", "('delivery"}
            pages = [
                get(port, path)
                for path in (
                    "/",
                    "/workers",
                    "/tasks",
                    "/broker",
                    "/api/workers",
                    "/api/tasks",
                    "/metrics",
                )
            ]
            pages += [get(port, f"/worker/{name}") for name in workers()]
            pages += [get(port, f"/task/{uuid}") for uuid in tasks()]
            pages += [get(port, f"/api/task/info/{uuid}") for uuid in tasks()]
            assert sum(map(bool, pages)) >= 12
            for page in [*pages, stack.log("flower"), *map(stack.log, ROLES)]:
                assert password not in page
                assert "quetzal" not in page
                assert "Tuna" not in page
