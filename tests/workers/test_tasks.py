"""The tasks: each has a queue, takes one lane of its own stage, and tells nobody anything."""

import ast
import inspect
import json
import uuid

import pytest
from structlog.testing import capture_logs

import celeryconfig
from sigil.errors import StoreError
from sigil.lanes.lane import LaneKind
from workers import runtime
from workers.agent import turn
from workers.app import app, find_role
from workers.base import LaneTask, TaskFailed
from workers.outbound import deliver
from workers.publisher import build_message
from workers.queues import LANE_WORKERS, QUEUES, Queue
from workers.routing import route

TASKS = (route, turn, deliver)


class Recording:
    """Stands in for the process's runtime."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.lanes: list[str] = []

    def run(self, step: object, lane: str) -> None:
        self.lanes.append(lane)
        if self.error is not None:
            raise self.error


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    stand_in = Recording()
    monkeypatch.setattr(runtime, "current", stand_in)
    return stand_in


def test_no_task_forgot_its_queue():
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == {worker.task for worker in LANE_WORKERS.values()}
    assert ours == set(celeryconfig.task_routes)
    declared = {queue.name for queue in QUEUES}
    assert declared == {queue.value for queue in Queue}
    for name in ours:
        assert app.amqp.router.route({}, name)["queue"].name in declared


def test_each_stage_has_its_task():
    expected = {kind: worker.task for kind, worker in LANE_WORKERS.items()}
    assert {task.kind: task.name for task in TASKS} == expected


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_leaves_no_result_and_is_acknowledged_early(task: LaneTask):
    assert task.ignore_result
    assert not task.acks_late
    assert task.max_retries is not None
    assert not app.conf.task_acks_late


def test_every_queue_says_what_may_live_there():
    assert [queue.role for queue in Queue] == ["routing", "agent", "outbound"]
    (body,) = (node.body for node in ast.parse(inspect.getsource(Queue)).body)
    members = [node for node in body if isinstance(node, ast.Assign)]
    assert len(members) == len(Queue)
    for member in members:
        below = body[body.index(member) + 1]
        assert isinstance(below, ast.Expr)
        assert isinstance(below.value, ast.Constant)


def test_the_role_follows_from_the_queues():
    assert find_role(["sigil.agent"]) == "agent"
    assert find_role(["sigil.agent", "sigil.routing"]) is None
    assert find_role(None) is None


def test_a_task_runs_its_step_for_the_lane(recording: Recording):
    turn("session:any:abc")
    assert recording.lanes == ["session:any:abc"]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((7,), {}),
        ((None,), {}),
        ((["session:any:abc"],), {}),
        (("delivery:web:abc",), {}),
        (("session",), {"x": 1}),
        (("session:any:abc", "session:any:def"), {}),
        (("session:" + "x" * 1000,), {}),
        (("",), {}),
        (("hello there",), {}),
        ((), {"lane": "session:any:abc"}),
    ],
)
def test_anything_but_a_lane_of_the_stage_is_refused_and_logged(recording, args, kwargs):
    with capture_logs() as logs:
        turn(*args, **kwargs)
    assert recording.lanes == []
    assert [entry["event"] for entry in logs] == ["task refused"]
    assert "hello" not in json.dumps(logs)


def test_a_store_that_is_away_is_left_to_the_sweep(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime, "current", Recording(StoreError("gone")))
    with capture_logs() as logs:
        route("inbound:web:abc")
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("task put off", "store.unavailable")
    ]


def test_a_bug_reaches_celery_without_its_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime, "current", Recording(ValueError("the person said: hello")))
    with capture_logs(), pytest.raises(TaskFailed) as caught:
        deliver("delivery:web:abc")
    assert str(caught.value) == "ValueError"
    assert caught.value.__suppress_context__


def test_a_message_is_what_celery_would_have_written():
    ours_body, ours = build_message("sigil.turn", "session:any:abc")
    theirs = app.amqp.as_task_v2(str(uuid.uuid4()), "sigil.turn", ("session:any:abc",))
    assert json.loads(json.dumps(theirs.body)) == ours_body
    differs = {"id", "root_id", "origin", "ignore_result"}
    for name in ours.keys() - differs:
        assert ours[name] == theirs.headers[name], name
    assert ours["ignore_result"] is True
    # What is not written stands for what Celery assumes without it.
    left_out = theirs.headers.keys() - ours.keys()
    assert not any(theirs.headers[name] for name in left_out)


def test_only_json_is_taken():
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert set(LaneKind) == LANE_WORKERS.keys()
