"""The memory of Redis is full: workers that start now answer what was accepted, new messages are
refused, and once memory is free they are taken again."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from sigil.config.addresses import find_free_port
from sigil.errors import StoreFull
from sigil.host.pages import fetch_page
from sigil.messages.exchange import InboundMessage
from tests.workers.stack import Stack, say, short_folder, until, until_so, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("fleets"),
]

CHATS = 20
# With a price, so that money is reserved and settled.
CONFIG = """
providers:
  slow: {type: echo, options: {delay: 0.2}, models: {echo: {price: {input: 1, output: 1}}}}
models: {default: slow/echo}
"""


def ask(port: int, path: str) -> tuple[int, bytes]:
    page = fetch_page("127.0.0.1", port, path, timeout=5)
    assert page is not None
    return page


def fill(server: redis.Redis) -> None:
    """From now on the server uses more than it may."""
    server.config_set("maxmemory", server.info("memory")["used_memory"] - 200_000)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        server.set("more", "")


async def read_counts(gateway: Any) -> dict[str, int]:
    (day,) = (await gateway.stores.lanes.counts()).values()
    return dict(day)


async def test_what_was_accepted_is_answered_and_new_messages_are_refused() -> None:
    port = find_free_port("127.0.0.1", 0)
    with short_folder() as folder, Stack(folder, CONFIG, GATEWAY__PORT=port) as stack:
        server = redis.Redis.from_url(stack.valkey.url)
        # By a script, since a long argument would stay in a buffer for a while.
        server.eval("redis.call('SET', 'ballast', string.rep('x', 20000000))", 0)
        async with stack.gateway() as gateway:
            for number in range(CHATS):
                await say(gateway, f"c{number}", "word " * 15)
            fill(server)
            # No wake-up is left. Workers find the lanes by their sweeps, and wake each other.
            server.delete(*server.keys("sigil:broker:sigil.*"))
            stack.start("sigil", "gateway", log="gateway.log")
            for role in ("routing", "outbound", "agent"):
                stack.worker(role)
            await until(gateway, "c0", "draft", within=20)
            wait_until(lambda: fetch_page("127.0.0.1", port, "/healthz", timeout=5), within=20)
            with pytest.raises(StoreFull):
                await gateway.receive(InboundMessage("web", "new", "1", "owner", content="hi"))
            status, body = ask(port, "/readyz")
            assert (status, json.loads(body)["ready"]) == (503, False)
            assert "memory" in json.loads(body)["causes"][0]
            for number in range(CHATS):
                await until(gateway, f"c{number}", "reply", within=30)

            async def is_done() -> bool:
                return (await read_counts(gateway)).get("answered") == CHATS

            await until_so(is_done, within=10)
            assert (await gateway.stores.lanes.verify())["balanced"]
            assert "dead" not in await read_counts(gateway)
            assert all(each.is_live for each in await gateway.stores.fleet.list())
            assert len(await gateway.stores.fleet.list()) == 4

            server.delete("ballast")
            await say(gateway, "new", "hi")
            await until(gateway, "new", "reply", within=20)
            assert ask(port, "/readyz")[0] == 200
