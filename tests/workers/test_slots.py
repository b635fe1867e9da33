"""Slots of real agent workers: kept, shared out at once, and free when their own lane ends."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sigil.bootstrap import build
from tests.workers.gated import Collected, GatedStack
from tests.workers.stack import environ, short_folder, wait_until

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("processes"),
]


@pytest.fixture
def stack() -> Iterator[GatedStack]:
    with (
        short_folder() as folder,
        GatedStack(
            folder, WORKERS__AGENT__CONCURRENCY=4, TIMEOUTS__GRACE=1, LANES__LEASE=120
        ) as stack,
    ):
        yield stack


async def prepare(stack: GatedStack, texts: list[str]) -> list[str]:
    """The lanes of sessions in which one message each waits, and nobody is woken."""
    gateway = build(stack.settings, wakeups=Collected())
    try:
        return await stack.route(gateway, texts)
    finally:
        await gateway.close()


def celery(stack: GatedStack, *argv: str, code: int = 0) -> str:
    """What a command of Celery's says of the one worker."""
    command = [sys.executable, "-m", "celery", "-A", "workers", *argv]
    done = subprocess.run(
        command, env=stack.env, cwd=stack.folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def inspect(stack: GatedStack, what: str) -> object:
    (answer,) = json.loads(celery(stack, "inspect", what, "--json")).values()
    return answer


async def test_what_one_worker_has_no_slot_for_goes_to_another_one_at_once(stack: GatedStack):
    """One wake-up names 32 lanes, and each of two workers has four slots."""
    pids = [stack.worker("agent").pid for _ in range(2)]
    stack.hold()
    texts = [f"t{number:02}" for number in range(32)]
    lanes = await prepare(stack, texts)
    stack.wake_together(lanes)
    wait_until(lambda: len(stack.lines("begin")) == 8, within=10)
    by_pid = {pid: [x["text"] for x in stack.lines("begin") if x["pid"] == pid] for pid in pids}
    # In the order of the wake-ups. The sweep knows no order of lanes that came together.
    assert sorted(map(sorted, by_pid.values())) == [texts[:4], texts[4:8]]
    assert stack.waiting() >= 6  # four lanes each, as many as found slots
    stack.let_go()
    wait_until(lambda: len(stack.lines("end")) == 32, within=30)
    assert stack.most_in_hand() == dict.fromkeys(pids, 4)


async def test_a_slot_is_free_when_its_lane_ends_and_a_full_worker_wakes_up(stack: GatedStack):
    """Three of four slots are taken for long; the fourth serves the rest, one by one."""
    stack.worker("agent")
    slow, quick = ["s1", "s2", "s3"], [f"q{number}" for number in range(10)]
    for text in [*slow, *quick]:
        stack.hold(text)
    lanes = await prepare(stack, [*slow, *quick])
    stack.wake_together(lanes)
    for number in range(len(quick)):
        wait_until(lambda n=number: len(stack.lines("begin")) == 4 + n, within=10)
        in_hand = {x["text"] for x in stack.lines("begin")} - {
            x["text"] for x in stack.lines("end")
        }
        (running,) = in_hand - {*slow}
        stack.let_go(running)
    wait_until(lambda: len(stack.lines("end")) == len(quick), within=10)
    ends, begins = stack.lines("end")[:-1], stack.lines("begin")[4:]
    # A consumer that nobody wakes sleeps for up to a second.
    assert statistics.median(b["at"] - e["at"] for e, b in zip(ends, begins, strict=True)) < 0.3


async def test_a_stopped_worker_hands_back_the_lanes_of_a_half_done_task(stack: GatedStack):
    first = stack.worker("agent")
    stack.hold("t1")
    stack.hold("t3")
    lanes = await prepare(stack, ["t1", "t2", "t3"])
    stack.wake_together(lanes)
    wait_until(lambda: [x["text"] for x in stack.lines("end")] == ["t2"], within=10)
    first.terminate()
    assert first.wait(20) == 0
    second = stack.worker("agent")  # the leases of the first one would last for two minutes
    wait_until(lambda: len(stack.lines("begin")) == 5, within=15)
    again = [x["text"] for x in stack.lines("begin") if x["pid"] == second.pid]
    assert sorted(again) == ["t1", "t3"]


async def test_celery_s_remote_control_works(stack: GatedStack):
    worker = stack.worker("agent")
    stack.hold()
    lanes = await prepare(stack, ["t1", "t2", "t3"])
    stack.wake_together(lanes[:2])
    stack.wake_together(lanes[2:])
    wait_until(lambda: len(stack.lines("begin")) == 3, within=10)

    active = {task["args"][0]: task["id"] for task in inspect(stack, "active")}
    assert active.keys() == {lanes[0], lanes[2]}
    pool = inspect(stack, "stats")["pool"]
    assert (pool["implementation"], pool["max-concurrency"]) == ("workers.pool:LoopPool", 4)
    celery(stack, "control", "pool_grow", "3")
    celery(stack, "control", "pool_shrink", "2")
    assert inspect(stack, "stats")["pool"]["max-concurrency"] == 5

    # The lanes of that task are handed back, and at once somebody goes on with them.
    celery(stack, "control", "terminate", "TERM", active[lanes[0]])
    wait_until(lambda: len(stack.lines("begin")) == 5, within=10)
    assert sorted(x["text"] for x in stack.lines("begin")[3:]) == ["t1", "t2"]
    celery(stack, "control", "shutdown", code=69)  # nobody answers to that
    assert worker.wait(20) == 0
    assert "handing lanes back" in stack.log("agent")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["-P", "prefork"], "leave out -P"),
        (["-P", "solo"], "leave out -P"),
        (["--time-limit", "5"], "timeouts.turn"),
        (["--autoscale", "4,1"], "--concurrency"),
        (["--max-tasks-per-child", "3"], "supervisor"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_an_option_that_cannot_be_followed_ends_the_start(option: list[str], says: str):
    command = [sys.executable, "-m", "celery", "-A", "workers", "worker", "-Q", "sigil.agent"]
    with short_folder() as folder:
        env = environ(folder, REDIS__URL=f"unix://{folder / 'nobody'}")
        done = subprocess.run(
            [*command, *option], env=env, capture_output=True, text=True, timeout=50
        )
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
