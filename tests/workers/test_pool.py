"""The pool: a slot is a lane; Celery is told on its hub; nothing waits for anything else."""

import queue
import threading
from collections.abc import Callable, Iterator

import pytest
from celery.worker import state
from structlog.testing import capture_logs

from tests.workers.stack import wait_until
from tests.workers.stand_in import StandIn
from workers import runtime
from workers.app import app
from workers.base import LaneTask
from workers.pool import Job, LoopPool

LANES = [f"session:any:{number}" for number in range(6)]


class Hub:
    """Celery's hub: it runs what it is given when the test lets it, in the test's thread."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.waiting.put(callback)

    def run_one(self) -> None:
        self.waiting.get(timeout=5)()

    def run_all(self) -> None:
        while not self.waiting.empty():
            self.run_one()


class Gateway(StandIn):
    """Each lane's turn waits until its lane is ended."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.open = {lane: threading.Event() for lane in LANES}

    async def turn(self, lane: str) -> None:
        self.begun.append(lane)
        await self.wait_for(self.open[lane])
        if lane in self.errors:
            raise self.errors[lane]

    def end(self, *lanes: str) -> None:
        for lane in lanes:
            self.open[lane].set()


class Ended:
    """What Celery was told of one task, and in which thread."""

    def __init__(self) -> None:
        self.accepted: list[threading.Thread] = []
        self.reports: list[tuple[int, object, float]] = []
        self.threads: list[threading.Thread] = []

    def accept(self, pid: int, at: float) -> None:
        self.accepted.append(threading.current_thread())

    def report(self, how: tuple[int, object, float]) -> None:
        self.reports.append(how)
        self.threads.append(threading.current_thread())


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def pool(gateway: Gateway, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopPool]:
    app.loader.import_default_modules()
    running = runtime.Runtime(lambda: gateway, grace=30)
    running.start()
    monkeypatch.setattr(runtime, "current", running)
    pool = LoopPool(4, app=app)
    pool.start()
    pool.register_with_event_loop(hub)
    yield pool
    gateway.end(*LANES)
    running.stop()


def apply(pool: LoopPool, ended: Ended, lanes: list[str], task: str = "sigil.turn") -> Job:
    """As `Request.execute_using_pool` does."""
    request = {"args": lanes[:1], "kwargs": {}, "more_lanes": lanes[1:]}
    return pool.apply_async(
        None,
        args=(task, "id-1", request, b"", "application/json", "utf-8"),
        accept_callback=ended.accept,
        callback=ended.report,
        timeout_callback=None,
        error_callback=None,
        correlation_id="id-1",
    )


def test_a_task_is_reported_once_on_the_hub_when_its_last_lane_has_ended(pool, hub, gateway):
    ended = Ended()
    apply(pool, ended, LANES[:3])
    assert ended.accepted == [threading.current_thread()]
    wait_until(lambda: gateway.begun == LANES[:3], within=5)
    gateway.end(*LANES[:2])
    wait_until(lambda: pool.in_hand == 1, within=5)
    assert hub.waiting.empty()
    gateway.end(LANES[2])
    hub.run_one()
    [(failed, result, seconds)] = ended.reports
    assert (failed, result) == (0, "None")
    assert 0 < seconds < 5
    assert ended.threads == [threading.current_thread()]


def test_what_exceeds_the_limit_is_woken_for_others_at_once(pool, gateway):
    apply(pool, Ended(), LANES)
    wait_until(lambda: len(gateway.begun) == 4, within=5)
    assert gateway.begun == LANES[:4]
    assert gateway.woken == LANES[4:]
    assert gateway.together == 4
    assert pool.in_hand == 4


def test_celery_fetches_while_a_slot_is_free_and_a_full_consumer_is_woken(pool, hub, gateway):
    """The slow lane and the quick one are of one task."""
    held = len(state.reserved_requests)
    apply(pool, Ended(), LANES[:4])
    assert pool.num_processes == held
    gateway.end(LANES[0])
    hub.run_one()
    assert pool.num_processes == held + 1


def test_a_lane_that_ends_beside_free_slots_wakes_nobody(pool, hub, gateway):
    apply(pool, Ended(), LANES[:3])
    gateway.end(LANES[0])
    wait_until(lambda: pool.in_hand == 2, within=5)
    assert hub.waiting.empty()


def test_a_consumer_that_finds_the_pool_full_while_a_lane_ends_is_woken(pool, hub, gateway):
    """The hub begins the last lane and asks for room, while the loop looks whether it is full."""
    held, answers = len(state.reserved_requests), []

    class Interrupted(LoopPool):
        @property
        def in_hand(self) -> int:
            found = super().in_hand
            if threading.current_thread() is not threading.main_thread() and not answers:
                answers.append(0)
                apply(pool, Ended(), LANES[3:4])
                answers.append(pool.num_processes)
            return found

    pool.__class__ = Interrupted
    apply(pool, Ended(), LANES[:3])
    gateway.end(LANES[0])
    wait_until(lambda: len(answers) == 2 and pool.in_hand == 3, within=5)
    assert answers[1] > held or not hub.waiting.empty()


def test_a_bug_in_one_lane_neither_stops_nor_hides_the_others(pool, hub, gateway):
    gateway.errors[LANES[1]] = ValueError("the person said: hello")
    ended = Ended()
    with capture_logs() as logs:
        apply(pool, ended, LANES[:3])
        gateway.end(LANES[1])
        wait_until(lambda: pool.in_hand == 2, within=5)
        assert hub.waiting.empty()
        gateway.end(LANES[0], LANES[2])
        hub.run_one()
    [(failed, info, _)] = ended.reports
    assert failed == 1
    assert repr(info.exception.exc) == "TaskFailed('ValueError')"
    assert "hello" not in info.traceback
    assert [(entry["event"], entry["lane"]) for entry in logs] == [("task failed", LANES[1])]


def test_a_lane_that_two_tasks_name_is_ended_in_both(pool, hub, gateway):
    first, second = Ended(), Ended()
    apply(pool, first, LANES[:2])
    apply(pool, second, LANES[1:3])
    gateway.end(*LANES[:3])
    wait_until(lambda: pool.in_hand == 0, within=5)
    hub.run_one()
    assert len(first.reports) == len(second.reports) == 1


def test_a_task_that_names_no_lane_ends_at_once(pool):
    ended = Ended()
    with capture_logs():
        apply(pool, ended, ["hello"])
        apply(pool, ended, LANES[:1], task="celery.backend_cleanup")
    assert [report[:2] for report in ended.reports] == [(0, "None"), (0, "None")]


def test_a_task_that_is_terminated_hands_its_own_lanes_back(pool, hub, gateway):
    ended = Ended()
    job = apply(pool, ended, LANES[:2])
    apply(pool, Ended(), LANES[2:4])
    wait_until(lambda: len(gateway.begun) == 4, within=5)
    pool.terminate_job(1, 15)
    assert gateway.cancelled == 0
    job.terminate(15)
    wait_until(lambda: pool.in_hand == 2, within=5)
    hub.run_all()
    assert gateway.cancelled == 2
    assert not ended.reports  # Celery has reported it as revoked


def test_the_limit_can_be_changed_while_lanes_are_in_hand(pool, gateway):
    held = len(state.reserved_requests)
    apply(pool, Ended(), LANES[:4])
    pool.grow(2)
    assert (pool.info["max-concurrency"], pool.num_processes - held) == (6, 2)
    pool.shrink(3)
    assert (pool.info["max-concurrency"], pool.num_processes - held) == (3, 0)
    pool.shrink(10)
    assert pool.info["max-concurrency"] == 1
    pool.grow(-10)
    assert pool.info["max-concurrency"] == 1


def test_stopping_waits_for_the_tasks_and_reports_them(pool, gateway):
    ended = Ended()
    apply(pool, ended, LANES[:2])
    wait_until(lambda: len(gateway.begun) == 2, within=5)
    threading.Timer(0.2, gateway.end, LANES).start()
    pool.stop()
    assert len(ended.reports) == 1
    assert not gateway.taking
    assert gateway.cancelled == 0


def test_a_report_that_fails_is_the_reports_loss_only(pool, hub, gateway):
    def fail(how: object) -> None:
        raise ConnectionError("the broker is away")

    first, second = Ended(), Ended()
    first.report = fail
    apply(pool, first, LANES[:1])
    apply(pool, second, LANES[1:2])
    gateway.end(*LANES[:2])
    wait_until(lambda: pool.in_hand == 0, within=5)
    with capture_logs() as logs:
        hub.run_one()
    assert [entry["event"] for entry in logs] == ["task not reported"]
    assert len(second.reports) == 1


def test_every_task_is_one_that_the_pool_can_run():
    app.loader.import_default_modules()
    ours = [task for name, task in app.tasks.items() if not name.startswith("celery.")]
    assert all(isinstance(task, LaneTask) for task in ours)
