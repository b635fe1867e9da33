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
from workers.agent import turn
from workers.app import app, find_role
from workers.base import LaneTask, TaskFailed
from workers.outbound import deliver
from workers.queues import LANE_WORKERS, QUEUES, Queue
from workers.routing import route
from workers.wakeup import build_message

TASKS = (route, turn, deliver)


def request(*args: object, more: object = None, **kwargs: object) -> dict[str, object]:
    """A task message as Celery hands it to the pool."""
    found: dict[str, object] = {"args": list(args), "kwargs": kwargs}
    return found if more is None else found | {"more_lanes": more}


class Broken:
    """A gateway all of whose verbs fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def fail(self, lane: str) -> None:
        raise self.error

    route = turn = deliver = fail


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


def test_a_task_names_one_lane_or_many():
    assert turn.read_lanes(request("session:any:abc")) == ["session:any:abc"]
    many = request("session:any:a", more=["session:any:b", "session:any:a", "session:any:c"])
    assert turn.read_lanes(many) == ["session:any:a", "session:any:b", "session:any:c"]


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        (request(), []),
        (request(7), []),
        (request(None), []),
        (request(["session:any:abc"]), []),
        (request("delivery:web:abc"), []),
        (request("session", x=1), []),
        (request("session:any:abc", "session:any:def"), []),
        (request("session:" + "x" * 1000), []),
        (request(""), []),
        (request("hello there"), []),
        (request(lane="session:any:abc"), []),
        (request("session:any:abc", more="session:any:def"), []),
        (request("session:any:abc", more=["session:any:x"] * 32), []),
        (
            request("session:any:abc", more=["hello", "session:any:def"]),
            ["session:any:abc", "session:any:def"],
        ),
        ({"args": ("session:any:abc",)}, []),
        ({}, []),
    ],
)
def test_anything_but_lanes_of_the_stage_is_refused_and_logged(refused, left):
    with capture_logs() as logs:
        assert turn.read_lanes(refused) == left
    assert [entry["event"] for entry in logs] == ["task refused"]
    assert "hello" not in json.dumps(logs)


async def test_a_store_that_is_away_is_left_to_the_sweep():
    with capture_logs() as logs:
        await route.work("id-1", Broken(StoreError("gone")), "inbound:web:abc")
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("task put off", "store.unavailable")
    ]


@pytest.mark.parametrize("kind", [ValueError, BaseException, BaseExceptionGroup, SystemExit])
async def test_a_bug_reaches_celery_without_its_words(kind):
    words = "the person said: hello"
    error = kind(words, [ValueError()]) if kind is BaseExceptionGroup else kind(words)
    with capture_logs() as logs, pytest.raises(TaskFailed) as caught:
        await deliver.work("id-1", Broken(error), "delivery:web:abc")
    assert [entry["event"] for entry in logs] == ["task failed"]
    assert str(caught.value) in {kind.__name__, "ExceptionGroup"}
    assert caught.value.__suppress_context__


def test_a_message_is_what_celery_would_have_written():
    ours_body, ours = build_message("sigil.turn", ["session:any:abc"])
    theirs = app.amqp.as_task_v2(str(uuid.uuid4()), "sigil.turn", ("session:any:abc",))
    assert json.loads(json.dumps(theirs.body)) == ours_body
    differs = {"id", "root_id", "origin", "ignore_result"}
    for name in ours.keys() - differs:
        assert ours[name] == theirs.headers[name], name
    assert ours["ignore_result"] is True
    # What is not written stands for what Celery assumes without it.
    left_out = theirs.headers.keys() - ours.keys()
    assert not any(theirs.headers[name] for name in left_out)


def test_a_message_with_many_lanes_is_one_with_the_first_to_an_older_worker():
    lanes = [f"session:any:{number}" for number in range(3)]
    body, headers = build_message("sigil.turn", lanes)
    one_body, one = build_message("sigil.turn", lanes[:1])
    assert body == one_body
    assert headers.keys() - one.keys() == {"more_lanes"}
    assert turn.read_lanes({"args": body[0], "kwargs": body[1], **headers}) == lanes


def test_only_json_is_taken():
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert set(LaneKind) == LANE_WORKERS.keys()
