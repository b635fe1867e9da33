"""A process that is kept running."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from sigil.host import child as module
from sigil.host.child import FIRST_PAUSE_S, MOST_SILENT_LOOKS, STEADY_S, Child, StartFailed
from sigil.host.processes import spawn


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def child(tmp_path) -> Child:
    return make_child(tmp_path, "print('no luck'); raise SystemExit(3)")


def make_child(folder: Path, script: str) -> Child:
    log = folder / "agent.log"
    return Child("agent", partial(spawn, [sys.executable, "-c", script], log=log), log)


def revive_when_ended(child: Child) -> str | None:
    assert child.process is not None
    while child.process.poll() is None:
        time.sleep(0.01)
    return child.revive()


def test_the_pause_doubles_until_the_process_runs_for_a_while(child, clock, tmp_path):
    pauses, news = [], []
    for _ in range(6):
        child.start()
        news.append(revive_when_ended(child))
        pauses.append(child.due_at - clock[0])
    assert pauses == [0.5, 1, 2, 4, 8, 8]
    assert [bool(text) for text in news] == [True] * 4 + [False] * 2
    assert "agent ended (exit code 3) and is started again in 0.5 s" in news[0]
    child.spawn = make_child(tmp_path, "input()").spawn
    child.spawn = partial(child.spawn, stdin=subprocess.PIPE)
    child.start()
    assert child.revive() is None
    clock[0] += STEADY_S + 1
    assert child.revive() == "agent runs again"
    child.process.communicate()
    assert revive_when_ended(child)
    assert child.due_at == clock[0] + FIRST_PAUSE_S


def test_one_that_cannot_be_started_is_tried_again(child, clock, tmp_path):
    spawn_it = child.spawn
    child.spawn = partial(spawn, ["/no/such/program"], log=child.log)
    assert "agent cannot be started" in child.revive()
    assert child.revive() is None  # it pauses
    child.spawn = spawn_it
    clock[0] += FIRST_PAUSE_S
    assert child.revive() is None
    assert child.process.wait() == 3


def test_one_that_shows_no_sign_of_life_is_killed_and_started_again(clock, tmp_path):
    child = make_child(tmp_path, "import time; time.sleep(60)")
    child.start()
    assert [child.shows(sign) for sign in (None, 1, 1, 2)] == [False, True, False, True]
    assert {child.miss() for _ in range(MOST_SILENT_LOOKS - 1)} == {None}
    assert child.shows(3)
    assert {child.miss() for _ in range(MOST_SILENT_LOOKS - 1)} == {None}
    hung = child.process
    assert "shows no sign of life" in child.miss()
    assert revive_when_ended(child) is None  # it has been said
    clock[0] += FIRST_PAUSE_S
    child.revive()
    assert child.process not in {None, hung}
    # Until its first sign it has more time.
    assert {child.miss() for _ in range(MOST_SILENT_LOOKS)} == {None}
    child.process.kill()
    child.process.wait()


def test_it_is_started_again_after_the_pause_and_not_before(child, clock):
    child.start()
    revive_when_ended(child)
    assert child.revive() is None
    assert child.process is None
    clock[0] += FIRST_PAUSE_S
    assert child.revive() is None
    assert child.process is not None
    child.process.wait()


def test_a_process_that_ends_at_the_start_shows_its_log(child):
    child.start()
    assert child.process is not None
    child.process.wait()
    with pytest.raises(StartFailed, match=r"agent did not start \(exit code 3\)[\s\S]*no luck"):
        child.check_start()
