"""State and broker behind Redis Sentinel: found by their name, and again after a failover."""

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from sigil.host.embedded import find_binary
from tests.workers.stack import Stack, events, say, short_folder, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("fleets"),
]

PASSWORD = "hunter2;@/hunter2"  # with all that would end it in a URL
Start = Callable[..., int]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[Start, dict[int, subprocess.Popen[bytes]]]]:
    """Starts Valkeys on loopback, each with the lines of its configuration."""
    running: dict[int, subprocess.Popen[bytes]] = {}

    def start(*lines: str, sentinel: bool = False) -> int:
        port = free_port()
        home = folder / str(port)
        home.mkdir()
        conf = home / "valkey.conf"
        fixed = ("bind 127.0.0.1", f"port {port}", f"dir {home}")
        conf.write_text("\n".join((*fixed, *lines)) + "\n")
        argv = [str(find_binary()), str(conf), *(["--sentinel"] if sentinel else [])]
        with (home / "log").open("wb") as log:
            running[port] = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
        login = {} if sentinel else {"password": PASSWORD}
        client = redis.Redis(port=port, **login)
        wait_until(lambda: _answers(client), within=10)
        client.close()
        return port

    try:
        yield start, running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


async def test_a_conversation_goes_on_after_a_failover():
    with short_folder() as folder, servers(folder) as (start, running):
        data = ("appendonly yes", f'requirepass "{PASSWORD}"', f'masterauth "{PASSWORD}"')
        first = start(*data)
        second = start(*data, f"replicaof 127.0.0.1 {first}", "repl-diskless-sync-delay 0")
        watch = start(
            f"sentinel monitor sigil-main 127.0.0.1 {first} 1",
            f'sentinel auth-pass sigil-main "{PASSWORD}"',
            "sentinel down-after-milliseconds sigil-main 1000",
            "sentinel failover-timeout sigil-main 5000",
            sentinel=True,
        )
        sentinel = redis.Redis(port=watch, decode_responses=True)
        wait_until(lambda: _is_replicating(sentinel), within=20)
        nobody = free_port()  # a Sentinel that is away must not matter
        secret = "hunter2%3B%40%2Fhunter2"
        url = f"sentinel://:{secret}@127.0.0.1:{nobody};127.0.0.1:{watch}/sigil-main/0"
        with Stack(folder, REDIS__URL=url, MODELS__DEFAULT="echo/echo") as stack:
            for role in ("routing", "agent", "outbound"):
                stack.worker(role)
            async with stack.gateway() as gateway:
                await say(gateway, "c1", "before")
                await until(gateway, "c1", "reply", within=15)
                running[first].kill()
                wait_until(lambda: _primary(sentinel) == second, within=20)
                await say(gateway, "c1", "after")
                await until(gateway, "c1", "reply", within=30, count=2)
                texts = [str(event["text"]) for event in await events(gateway, "c1", "reply")]
            assert ["before" in texts[0], "after" in texts[1]] == [True, True]
            for role in ("routing", "agent", "outbound"):
                assert "hunter2" not in stack.log(role)
                # Wake-ups go there too, not only what the sweep finds.
                assert stack.log(role).count("Connected to sentinel://") >= 2
        sentinel.close()


def _primary(sentinel: redis.Redis) -> int:
    address = sentinel.sentinel_get_master_addr_by_name("sigil-main")
    return int(address[1])


def _is_replicating(sentinel: redis.Redis) -> bool:
    replicas = sentinel.sentinel_slaves("sigil-main")
    return any(replica["master-link-status"] == "ok" for replica in replicas)
