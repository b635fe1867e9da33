"""`sigil gateway` as a process: how it starts, refuses to start, and stops."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from sigil.errors import ConfigError
from sigil.stores import connect
from sigil.web.server import find_local_url, listen_on

SECRET = "a-secret-in-the-url"
JSON = b"Content-Type: application/json"


@contextmanager
def gateway(
    folder: Path, redis: str, most_files: int | None = None, **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGIL_")}
    ours = {"SIGIL_DATA_DIR": str(folder), "SIGIL_REDIS__URL": redis, "SIGIL_GATEWAY__PORT": "0"}
    command = [sys.executable, "-c", "from sigil.cli import main; main()", "gateway"]
    if most_files is not None:
        command = ["sh", "-c", f'ulimit -n {most_files} && exec "$@"', "sh", *command]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=clean | ours | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ready(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    seen = b""
    for line in process.stdout:
        seen += line
        if found := re.search(rb"http://[\d.]+:\d+", line):
            return found[0].decode()
    raise AssertionError(seen)


@pytest.mark.valkey
async def test_it_stops_within_five_seconds_with_a_stream_open(
    tmp_path: Path, valkey_url: str
) -> None:
    prefix = f"test-{uuid.uuid4().hex}:"
    stores = connect(valkey_url, prefix=prefix)
    await stores.chats.touch("owner", "web", "chat", "A chat")
    await stores.backend.close()
    with gateway(tmp_path, valkey_url, SIGIL_REDIS__PREFIX=prefix) as process:
        url = await asyncio.to_thread(ready, process)
        async with httpx2.AsyncClient(base_url=url) as http:
            assert (await http.get("/")).status_code == 200
            assert (await http.get("/readyz")).status_code == 200
            async with http.stream("GET", "/api/chats/chat/events") as stream:
                text = stream.aiter_text()
                assert "ready" in await anext(text)
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert [piece async for piece in text] == []
        assert await asyncio.to_thread(process.wait, 5) == 0
        assert time.monotonic() - began < 5


@pytest.mark.valkey
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["idle", "half a header", "slow body"],
)
async def test_nobody_keeps_others_out_by_holding_connections(
    tmp_path: Path, valkey_url: str, sent: bytes
) -> None:
    with gateway(tmp_path, valkey_url, most_files=1024) as process:
        url = await asyncio.to_thread(ready, process)
        host, port = url.removeprefix("http://").split(":")
        assert process.stdout is not None
        log = asyncio.create_task(asyncio.to_thread(process.stdout.read))  # or its pipe fills up
        with ExitStack() as held:
            async with httpx2.AsyncClient(base_url=url, timeout=5) as http:
                for n in range(1300):
                    holder = held.enter_context(socket.create_connection((host, int(port))))
                    holder.sendall(sent)
                    if n % 100 == 0:
                        assert (await http.get("/readyz")).status_code == 200, n
            for _ in range(10):
                async with httpx2.AsyncClient(base_url=url, timeout=5) as another:
                    assert (await another.get("/readyz")).status_code == 200
        process.terminate()
        output = await log
    assert output.count(b"too many connections") == 1


@pytest.mark.valkey
async def test_nobody_fills_the_log_by_what_they_send(tmp_path: Path, valkey_url: str) -> None:
    kinds = [
        b"no request at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        # Still open when the process is stopped.
        b"POST /login HTTP/1.1\r\nHost: localhost\r\n%b\r\nContent-Length: 9\r\n\r\n{" % JSON,
    ]
    with gateway(tmp_path, valkey_url) as process, ExitStack() as held:
        url = await asyncio.to_thread(ready, process)
        host, port = url.removeprefix("http://").split(":")
        for sent in kinds * 30:
            connection = held.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(sent)
        async with httpx2.AsyncClient(base_url=url, timeout=5) as http:
            assert (await http.get("/readyz")).status_code == 200
        process.terminate()
        assert process.stdout is not None
        output = await asyncio.to_thread(process.stdout.read)
    assert (output.count(b"Invalid HTTP"), output.count(b"Unsupported upgrade")) == (1, 1)
    assert b"Traceback" not in output
    assert b"Cancel 30 running task(s)" in output


@pytest.mark.valkey
def test_a_taken_port_is_said(tmp_path: Path, valkey_url: str) -> None:
    with listen_on("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        with gateway(tmp_path, valkey_url, SIGIL_GATEWAY__PORT=port) as process:
            output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"port {port} is taken" in output.decode()
    assert "Traceback" not in output.decode()


@pytest.mark.parametrize(
    ("redis", "says"),
    [
        (f"redis://user:{SECRET}@127.0.0.1:9/0", "Redis at 127.0.0.1:9 does not answer"),
        ("unix:///nowhere/at/all.sock", "Redis at /nowhere/at/all.sock does not answer"),
    ],
)
def test_a_redis_that_is_down_is_said(tmp_path: Path, redis: str, says: str) -> None:
    with gateway(tmp_path, redis) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert says in output.decode()
    assert SECRET not in output.decode()
    assert "Traceback" not in output.decode()


def test_an_address_that_is_not_ours_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"gateway\.host|cannot listen on"):
        listen_on("192.0.2.1", 0)


def test_the_address_that_is_told_can_be_opened() -> None:
    with listen_on("0.0.0.0", 0) as listening:
        assert find_local_url(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}/"
