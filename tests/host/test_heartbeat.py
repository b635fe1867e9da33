"""Signs of life of worker processes."""

import os
import subprocess
import sys
import tempfile

import pytest

from sigil.config import Settings
from sigil.errors import ConfigError
from sigil.host.heartbeat import FRESH_S, Heartbeat, find_live_workers


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Settings(data_dir=tmp_path)


def test_a_worker_lives_from_its_first_beat_to_its_end(settings):
    heartbeat = Heartbeat(settings, "agent")
    assert find_live_workers(settings, "agent") == set()
    heartbeat.beat()
    assert find_live_workers(settings, "agent") == {os.getpid()}
    assert find_live_workers(settings, "routing") == set()
    other = settings.model_copy(update={"data_dir": settings.data_dir / "other"})
    assert find_live_workers(other, "agent") == set()
    heartbeat.end()
    assert find_live_workers(settings, "agent") == set()


def test_a_worker_that_hangs_or_has_died_does_not_live(settings, tmp_path):
    Heartbeat(settings, "agent").beat()
    (sign,) = tmp_path.glob("*/*/agent-*")
    stale = sign.stat().st_mtime - FRESH_S - 1
    os.utime(sign, (stale, stale))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = sign.with_name(f"agent-{gone.pid}")
    dead.touch()
    assert find_live_workers(settings, "agent") == set()
    assert sign.exists()  # the process may beat again
    assert not dead.exists()


def test_a_folder_that_cannot_be_made_is_an_error(settings, tmp_path):
    (tmp_path / f"sigil-{os.getuid()}").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        Heartbeat(settings, "agent")
