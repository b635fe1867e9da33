"""`sigil up`, as a person meets it: one command, and nothing left when it ends."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from pytest_httpserver import HTTPServer

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.gateway import Gateway
from sigil.host.heartbeat import find_live_workers
from tests.workers.stack import CONFIG, ROOT, events, say, short_folder, until, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("processes"),
]


# Nobody waits 20 s for a process that hangs: its signs of life are looked for more often.
QUICK = """
from sigil.cli import main
from sigil.host import supervisor, valkey_address
supervisor.LOOK_EVERY_S = 0.5
valkey_address.ANSWER_WITHIN_S = 0.5
main()
"""


class Up:
    """A `sigil up` in a session of its own, as a terminal would have it."""

    def __init__(self, folder: Path, *options: str, **overrides: object) -> None:
        self.folder = folder
        self.out = folder / "up.out"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SIGIL_")}
        self.env = kept | {
            "PYTHONPATH": str(ROOT),
            "SIGIL_DATA_DIR": str(folder / "data"),
            "SIGIL_GATEWAY__PORT": "0",
            "XDG_CONFIG_HOME": str(folder),
            **{f"SIGIL_{name}": str(value) for name, value in overrides.items()},
        }
        self.began = time.monotonic()
        with self.out.open("wb") as output:
            self.process = self.run("up", *options, stdout=output, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def run(self, *argv: str, **kwargs: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", QUICK, *argv],
            env=self.env,
            cwd=self.folder,
            start_new_session=True,
            **kwargs,
        )

    def ready(self) -> str:
        """The first address that it prints, once it is there."""

        def says() -> bool:
            assert self.process.poll() is None, self.output
            return "http://" in self.output and "Logs" in self.output

        wait_until(says, within=60)
        return re.search(r"http://\S+", self.output)[0]

    @property
    def output(self) -> str:
        return self.out.read_text()

    def family(self) -> dict[int, str]:
        """Its processes by pid, as the system knows them: all that work on this folder."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environ = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if command and str(self.folder).encode() in environ + command.encode():
                found[int(entry.name)] = command
        return found

    def child(self, words: str) -> int:
        (pid,) = (pid for pid, command in self.family().items() if words in command)
        return pid


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as page:
            return page.status == 200
    except OSError:
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@contextlib.contextmanager
def running(folder: Path, **overrides: object) -> Iterator[Up]:
    up = Up(folder, **overrides)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            up.process.wait(20)


@contextlib.asynccontextmanager
async def open_gateway(up: Up) -> AsyncIterator[Gateway]:
    """On the store of the one that runs."""
    gateway = build(load_settings(environ=up.env))
    try:
        yield gateway
    finally:
        await gateway.close()


@pytest.fixture
def up(folder: Path) -> Iterator[Up]:
    with running(folder) as up:
        yield up


@pytest.fixture(scope="module")
def shared() -> Iterator[Up]:
    """One that tests may disturb, but not end."""
    with short_folder() as folder, running(folder) as up:
        up.ready()
        yield up


def memory(pids: list[int]) -> tuple[float, float]:
    """RSS and PSS in MB."""
    totals = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name = line.partition(":")[0]
            if name in totals:
                totals[name] += int(line.split()[1])
    return totals["Rss"] / 1024, totals["Pss"] / 1024


def processor_time(pids: list[int]) -> float:
    """Seconds that they ran so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_it_answers_and_ends_without_a_trace(up: Up):
    address = up.ready()
    ready = processor_time(list(up.family()))
    with urllib.request.urlopen(address, timeout=5) as page:
        assert page.status == 200
    port = address.rstrip("/").rpartition(":")[2]
    up.env["SIGIL_GATEWAY__PORT"] = port
    chat = up.run("chat", "hello there", stdout=subprocess.PIPE)
    answer, _ = chat.communicate(timeout=30)
    took = time.monotonic() - up.began
    assert "hello there" in answer.decode()
    rss, pss = memory(list(up.family()))
    print(
        f"first answer after {took:.1f} s; {ready:.1f} s of processor time; "
        f"{rss:.0f} MB RSS, {pss:.0f} MB PSS"
    )
    assert rss < 400
    assert ready < 6  # seconds of processor time, whatever else this machine does; 2.7 seen
    for word in ("web", "terminal", "echo/echo", str(up.folder / "data"), "Ctrl-C", "sigil.yaml"):
        assert word in up.output
    assert len(up.family()) == 7  # itself, its guard, Valkey, a gateway and three workers

    began = time.monotonic()
    os.killpg(up.process.pid, signal.SIGINT)  # what a terminal does
    assert up.process.wait(20) == 0
    assert time.monotonic() - began < 8
    assert up.family() == {}


def flower_api(path: str) -> dict[str, dict[str, object]]:
    with urllib.request.urlopen(f"http://127.0.0.1:5555/api/{path}", timeout=10) as answer:
        return json.load(answer)


def test_flower_runs_beside_it_if_asked_for(folder: Path):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 5555)) == 0:
            pytest.skip("port 5555 is in use")
    # Without a login Flower keeps its API shut, unless it is told otherwise.
    os.environ["FLOWER_UNAUTHENTICATED_API"] = "true"
    try:
        up = Up(folder, "--flower")
    finally:
        del os.environ["FLOWER_UNAUTHENTICATED_API"]
    try:
        up.ready()
        assert "http://127.0.0.1:5555/" in up.output
        # A busy worker may be known to Flower before it has answered what it works on.
        queues: list[object] = []

        def ask_for_queues() -> bool:
            workers = flower_api("workers?refresh=1").values()
            queues[:] = [info["active_queues"] for info in workers if "active_queues" in info]
            return len(queues) == 3

        wait_until(ask_for_queues, within=30, every=0.5)
        assert sorted(queue["name"] for (queue,) in queues) == [
            "sigil.agent",
            "sigil.outbound",
            "sigil.routing",
        ]
        second = folder / "second"
        second.mkdir()
        refused = Up(second, "--flower")
        assert refused.process.wait(20) == 1
        assert "--flower" in refused.output
    finally:
        up.process.terminate()
        assert up.process.wait(20) == 0
    assert up.family() == {}


def test_a_port_that_is_taken_is_said_at_once(folder: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        up = Up(folder, GATEWAY__PORT=taken.getsockname()[1])
        assert up.process.wait(20) == 1
        assert f"port {taken.getsockname()[1]}" in up.output
    assert "Traceback" not in up.output
    assert up.family() == {}


def test_a_redis_that_is_not_there_is_said_and_nothing_is_left(folder: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        up = Up(folder, REDIS__URL=f"redis://:hunter2hunter2@127.0.0.1:{port}/0")
        assert up.process.wait(40) == 1
    assert f"Redis at 127.0.0.1:{port} does not answer" in up.output
    assert "hunter2" not in up.output
    assert "Traceback" not in up.output
    assert up.family() == {}


def test_a_second_start_on_the_folder_is_refused(shared: Up):
    second = shared.run("up", stderr=subprocess.PIPE)
    _, error = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"process {shared.process.pid}" in error.decode()
    assert "Traceback" not in error.decode()
    assert shared.process.poll() is None


@pytest.mark.parametrize("words", ["worker agent", "sigil gateway", "valkey-server"])
def test_a_role_that_dies_is_started_again(shared: Up, words: str):
    address = shared.ready()
    restarts = shared.output.count("started again")
    first = shared.child(words)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: shared.output.count("started again") > restarts, within=10)
    wait_until(lambda: any(words in c for p, c in shared.family().items() if p != first), within=10)
    shared.env["SIGIL_GATEWAY__PORT"] = address.rstrip("/").rpartition(":")[2]
    settings = load_settings(environ=shared.env)
    wait_until(
        lambda: shared.child("worker agent") in find_live_workers(settings, "agent"), within=20
    )
    wait_until(lambda: answers(address), within=20)  # a new gateway needs a moment to listen
    answer, _ = shared.run("chat", "again", stdout=subprocess.PIPE).communicate(timeout=40)
    assert "again" in answer.decode()


def test_sigterm_ends_it_too_even_during_the_start(folder: Path):
    up = Up(folder)
    wait_until(lambda: "Starting" in up.output, within=20)
    began = time.monotonic()
    up.process.terminate()
    assert up.process.wait(20) == 0
    assert time.monotonic() - began < 8
    assert up.family() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells children on Linux only")
def test_nothing_outlives_a_supervisor_that_is_killed(folder: Path):
    up = Up(folder)
    up.ready()
    up.kill()
    wait_until(lambda: up.family() == {}, within=8)
    again = Up(folder)
    again.ready()
    again.process.terminate()
    assert again.process.wait(20) == 0


async def test_a_message_is_answered_once_although_its_supervisor_is_killed_three_times(
    folder: Path,
):
    """The workers hand it back each time, since Valkey ends after them: a lease that was lost
    would be a strike, and the first one would be the end of this message."""
    (folder / "sigil.yaml").write_text(CONFIG)
    log = folder / "data" / "logs" / "agent.log"
    token = 0  # of the newest lease
    for kills in range(3):
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
    with running(folder, LANES__MAX_STRIKES=1) as up:
        up.ready()
        async with open_gateway(up) as gateway:
            await until(gateway, "c", "reply", within=30)
            (reply,) = await events(gateway, "c", "reply")
        assert "six" in str(reply)
    assert log.read_text().count("task handed back") == 3


def test_a_valkey_that_hangs_while_its_supervisor_is_killed_is_ended_before_the_next_starts(
    folder: Path,
):
    up = Up(folder)
    up.ready()
    address = (folder / "data/valkey/url").read_text()
    with redis.Redis.from_url(address) as client:
        client.set("kept", "yes")
    hung = up.child("valkey-server")
    os.kill(hung, signal.SIGSTOP)
    up.kill()
    with running(folder) as again:
        again.ready()
        assert again.child("valkey-server") != hung
        with redis.Redis.from_url(address) as client:
            assert client.get("kept") == b"yes"
    assert "Waiting for what an earlier start" in again.output
    assert again.family() == {}


def test_what_hangs_is_replaced(folder: Path):
    with running(folder) as up:
        address = up.ready()
        up.env["SIGIL_GATEWAY__PORT"] = address.rstrip("/").rpartition(":")[2]
        for names in (("worker agent", "sigil gateway"), ("valkey-server",)):
            hung = [up.child(name) for name in names]
            for pid in hung:
                os.kill(pid, signal.SIGSTOP)
            wait_until(lambda pids=hung: not set(pids) & set(up.family()), within=30)
            wait_until(lambda: answers(f"{address}readyz"), within=30)
            chat = up.run("chat", "is anybody there", stdout=subprocess.PIPE)
            assert b"is anybody there" in chat.communicate(timeout=60)[0]
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


def test_a_key_that_is_refused_is_said_at_the_start(folder: Path, httpserver: HTTPServer):
    httpserver.expect_request("/models").respond_with_data("", status=401)
    (folder / "sigil.yaml").write_text(
        "models: {default: lab/m}\nproviders:\n  lab:\n    api_key: k\n    type: openai\n"
        f"    base_url: {httpserver.url_for('')}\n"
    )
    with running(folder) as up:
        up.ready()
        said = "lab refused its key (401). Check `providers.lab.api_key`, line 4 of sigil.yaml."
        wait_until(lambda: said in up.output, within=30)
