"""Real worker processes that are killed, stopped and started."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.stack import Stack, environ, events, say, short_folder, until, wait_until
from workers.runtime import STOP_MARGIN_S

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("processes"),
]


@pytest.fixture
def impatient() -> Iterator[Stack]:
    """A short lease, so that a kill is noticed soon, and a grace time of 1 s."""
    with (
        short_folder() as folder,
        Stack(folder, LANES__LEASE=3, LANES__RENEW=1, TIMEOUTS__GRACE=1) as stack,
    ):
        yield stack


@pytest.fixture(scope="module")
def patient() -> Iterator[Stack]:
    """A lease so long that only handing back can bring a lane to another worker in time; shared,
    and without agent workers."""
    with (
        short_folder() as folder,
        Stack(folder, LANES__LEASE=120, LANES__RENEW=40, TIMEOUTS__GRACE=1) as stack,
    ):
        stack.worker("routing")
        stack.worker("outbound")
        yield stack


async def test_after_kill_9_another_worker_goes_on(impatient: Stack):
    impatient.worker("routing")
    first = impatient.worker("agent")
    impatient.worker("outbound")
    async with impatient.gateway() as gateway:
        await say(gateway, "c1", "one two three four")
        await until(gateway, "c1", "draft", within=15)
        impatient.worker("agent")
        first.kill()
        await until(gateway, "c1", "reply", within=25)
        (reply,) = await events(gateway, "c1", "reply")
        assert "one two three four" in str(reply["text"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_a_stopped_worker_hands_back_at_once(patient: Stack, number: signal.Signals):
    first, chat = patient.worker("agent"), f"c{number}"
    async with patient.gateway() as gateway:
        await say(gateway, chat, "one two three four")
        await until(gateway, chat, "draft", within=15)
        second = patient.start("sigil", "worker", "agent", log="agent.log")
        first.send_signal(number)
        began = time.monotonic()
        assert first.wait(15) == 0, patient.log("agent")
        assert time.monotonic() - began < 8
        await until(gateway, chat, "reply", within=25)
        assert len(await events(gateway, chat, "reply")) == 1
    second.terminate()
    assert second.wait(15) == 0


async def test_a_running_turn_is_let_finish_within_the_grace_time():
    with short_folder() as folder, Stack(folder, TIMEOUTS__GRACE=20) as stack:
        stack.worker("routing")
        agent = stack.worker("agent")
        async with stack.gateway() as gateway:
            await say(gateway, "c1", "one two three four")
            await until(gateway, "c1", "draft", within=15)
            agent.terminate()
            assert agent.wait(15) == 0
            stack.worker("outbound")
            await until(gateway, "c1", "reply", within=15)


def test_a_worker_ends_soon_when_there_is_nothing_to_do(stack: Stack):
    worker = stack.worker("outbound")
    began = time.monotonic()
    worker.terminate()
    assert worker.wait(10) == 0
    assert time.monotonic() - began < 5


def test_a_worker_ends_although_its_store_does_not_answer():
    """Celery's consumer alone would wait for the broker for 45 s."""
    with short_folder() as folder, Stack(folder, TIMEOUTS__GRACE=1) as stack:
        worker = stack.worker("outbound")
        assert stack.valkey.process is not None
        stack.valkey.process.send_signal(signal.SIGSTOP)
        worker.terminate()
        worker.wait(1 + STOP_MARGIN_S + 8)
        stack.valkey.process.send_signal(signal.SIGCONT)
        assert "stopped without the store's answer" in stack.log("outbound")


async def test_celery_starts_the_same_worker(stack: Stack):
    stack.worker("routing")
    stack.worker("outbound")
    agent = stack.start("celery", "-A", "workers", "worker", "-Q", "sigil.agent", log="agent.log")
    stack.wait_alive("agent", agent)
    log = stack.log("agent")
    assert "concurrency: 200" in log
    assert "workers.base" not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {line["role"] for line in lines} == {"agent"}
    async with stack.gateway() as gateway:
        await say(gateway, "c1", "hi")
        await until(gateway, "c1", "reply", within=15)
    agent.terminate()
    assert agent.wait(10) == 0


def test_every_secret_of_the_role_is_kept_out_of_its_log(stack: Stack):
    """Also of a worker that `celery` started, which reads its broker's settings first."""
    (stack.folder / "sigil.yaml").write_text(
        "providers: {openai: {api_key: '${VENDOR_KEY}', base_url: 'http://127.0.0.1:1'}}\n"
    )
    stack.env["VENDOR_KEY"] = "sk-launch-code-4711"
    argv = ("celery", "-A", "workers", "worker", "-Q", "sigil.agent")
    agent = stack.start(*argv, "--hostname=sk-launch-code-4711@here", log="agent.log")
    stack.wait_alive("agent", agent)
    wait_until(lambda: "[redacted]@here ready" in stack.log("agent"), within=5)


def test_the_check_tells_whether_a_worker_lives(stack: Stack):
    def check(role: str) -> int:
        return stack.start("sigil", "worker", role, "--check", log="check.log").wait(20)

    worker = stack.worker("routing")
    assert check("routing") == 0
    assert check("agent") == 1
    assert "No agent worker" in stack.log("check")
    worker.kill()
    worker.wait()
    assert check("routing") == 1


def test_a_worker_without_a_server_says_so(stack: Stack):
    stack.valkey.process.kill()
    stack.valkey.process.wait()
    worker = stack.start("sigil", "worker", "agent", log="agent.log")
    assert worker.wait(20) == 1
    assert "sigil up" in stack.log("agent")
    assert "Traceback" not in stack.log("agent")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_a_worker_whose_server_is_down_ends_and_says_what_to_do() -> None:
    with short_folder() as folder:
        url = f"unix://{folder / 'nobody'}"
        command = [sys.executable, "-m", "sigil", "worker", "routing"]
        env = environ(folder, REDIS__URL=url)
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "redis.url" in done.stderr
    assert "Traceback" not in done.stderr


async def test_only_agent_workers_load_model_sdks(stack: Stack):
    (stack.folder / "sigil.yaml").write_text(
        "providers: {openai: {api_key: sk-none, base_url: 'http://127.0.0.1:1'}}\n"
        "models: {default: openai/gpt-5.4-mini}\n"
    )
    pids = {role: stack.worker(role).pid for role in ("routing", "agent", "outbound")}

    def has_sdk(role: str) -> bool:
        maps = Path(f"/proc/{pids[role]}/maps").read_text()
        return "aiohttp/_http_parser" in maps  # what the SDKs speak over is loaded with them

    async with stack.gateway() as gateway:
        await say(gateway, "c1", "hi")
        await until(gateway, "c1", "reply", within=30)
    assert {role: has_sdk(role) for role in pids} == {
        "routing": False,
        "agent": True,
        "outbound": False,
    }
