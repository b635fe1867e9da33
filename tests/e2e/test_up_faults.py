"""`sigil up` when something goes wrong: it is killed, a process hangs, the disk is full."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.gateway import Gateway
from tests.e2e.up import Up, answers, running
from tests.workers.stack import CONFIG, events, say, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("faults"),
]


@contextlib.asynccontextmanager
async def open_gateway(up: Up) -> AsyncIterator[Gateway]:
    """On the store of the one that runs."""
    gateway = build(load_settings(environ=up.env))
    try:
        yield gateway
    finally:
        await gateway.close()


async def test_a_message_is_answered_once_although_its_supervisor_is_killed_again_and_again(
    folder: Path,
):
    """The workers hand it back each time, since Valkey ends after them: a lease that was lost
    would be a strike, and the first one would be the end of this message."""
    (folder / "sigil.yaml").write_text(CONFIG)
    log = folder / "data" / "logs" / "agent.log"
    token = 0  # of the newest lease
    for kills in range(2):
        up = Up(folder, LANES__MAX_STRIKES=1)
        up.ready()
        async with open_gateway(up) as gateway:
            if kills == 0:
                await say(gateway, "c", "one two three four five six")
            drafts: list[dict[str, object]] = []
            async with asyncio.timeout(20):
                while not (drafts and int(str(drafts[-1]["token"])) > token):
                    drafts = await events(gateway, "c", "draft")
                    await asyncio.sleep(0.05)
            token = int(str(drafts[-1]["token"]))
        up.kill()
        wait_until(lambda up=up: up.family() == {}, within=15)
    with running(folder, LANES__MAX_STRIKES=1) as up:
        up.ready()
        async with open_gateway(up) as gateway:
            await until(gateway, "c", "reply", within=30)
            (reply,) = await events(gateway, "c", "reply")
        assert "six" in str(reply)
    assert log.read_text().count("task handed back") == 2


def test_a_valkey_that_hangs_while_its_supervisor_is_killed_is_ended_before_the_next_starts(
    folder: Path,
):
    up = Up(folder)
    up.ready()
    address = (folder / "data/valkey/url").read_text()
    with redis.Redis.from_url(address) as client:
        client.set("kept", "yes")
    hung = {up.child("valkey-server"), up.child("worker outbound")}
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    up.kill()
    with running(folder) as again:
        again.ready()
        assert not hung & set(again.family())
        assert again.child("valkey-server")
        with redis.Redis.from_url(address) as client:
            assert client.get("kept") == b"yes"
    assert "Waiting for what an earlier start" in again.output
    assert again.family() == {}


def test_what_hangs_is_replaced(folder: Path):
    with running(folder) as up:
        address = up.ready()
        up.env["SIGIL_GATEWAY__PORT"] = address.rstrip("/").rpartition(":")[2]

        def hang(*names: str) -> None:
            """Returns when others run in their place."""
            hung = {up.child(name) for name in names}
            for pid in hung:
                os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: not hung & set(up.family()), within=30)
            wait_until(lambda: answers(f"{address}readyz"), within=30)

        hang("worker agent", "sigil gateway")
        chat = up.run("chat", "is anybody there", stdout=subprocess.PIPE)
        assert b"is anybody there" in chat.communicate(timeout=60)[0]
        hang("valkey-server")
        for name in ("agent", "gateway", "valkey"):
            assert up.output.count(f"{name} shows no sign of life") == 1, up.output
        assert "routing" not in up.output


def test_no_program_is_taken_from_the_folder_that_somebody_is_in(folder: Path):
    for name in ("uvicorn", "celery", "celeryconfig", "kombu", "redis"):
        (folder / f"{name}.py").write_text("open('ran', 'w').close()")
    up = Up(folder)
    try:
        up.ready()
    finally:
        up.process.terminate()
        assert up.process.wait(20) == 0
    assert not list(folder.rglob("ran"))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "sigil-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_survived(folder: Path):
    with small_disk(folder / "disk") as disk, running(folder, DATA_DIR=disk) as up:
        address = up.ready()
        up.env["SIGIL_GATEWAY__PORT"] = address.rstrip("/").rpartition(":")[2]
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        wait_until(lambda: f"no space left on device: {disk}/valkey" in up.output, within=20)
        wait_until(lambda: up.output.count("valkey ended") > 2, within=20)
        assert up.process.poll() is None
        filler.unlink()
        wait_until(lambda: answers(f"{address}readyz"), within=30)
        chat = up.run("chat", "room again", stdout=subprocess.PIPE)
        assert b"room again" in chat.communicate(timeout=60)[0]
