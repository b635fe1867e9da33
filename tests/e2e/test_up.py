"""`sigil up`, as a person meets it: one command, and nothing left when it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from sigil.config import load_settings
from sigil.host.heartbeat import find_live_workers
from tests.e2e.up import Up, answers, running
from tests.workers.stack import short_folder, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("processes"),
]


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
