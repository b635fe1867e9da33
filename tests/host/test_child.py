"""A process that is kept running."""

import os
import sys
import time

import pytest

from sigil.host import child as module
from sigil.host.child import FIRST_PAUSE_S, STEADY_S, Child, StartFailed


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def child(tmp_path) -> Child:
    argv = [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"]
    return Child("agent", argv, dict(os.environ), tmp_path / "agent.log")


def revive_when_ended(child: Child) -> str:
    assert child.process is not None
    while child.process.poll() is None:
        time.sleep(0.01)
    news = child.revive()
    assert news is not None
    return news


def test_the_pause_doubles_until_the_process_runs_for_a_while(child, clock):
    pauses = []
    for _ in range(6):
        child.start()
        assert "agent ended (exit code 3)" in revive_when_ended(child)
        pauses.append(child.due_at - clock[0])
    assert pauses == [0.5, 1, 2, 4, 8, 8]
    child.start()
    clock[0] += STEADY_S + 1
    revive_when_ended(child)
    assert child.due_at == clock[0] + FIRST_PAUSE_S


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
