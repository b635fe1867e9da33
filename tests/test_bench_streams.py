from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(180)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="figures come from /proc")
def test_all_streams_are_read_to_their_ends():
    command = [sys.executable, "benchmarks/streams.py", "--streams", "20", "--seconds", "2"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert figures["streams"] == figures["completed"] == figures["open_at_once"] == 20
    assert all(figures[name] > 0 for name in ("us_per_token", "kb_per_stream", "ttft_added_p95_ms"))
    for ratio in ("sdk_ratio", "sdk_ratio_whole_run"):
        each = [wire[ratio] for wire in figures["wires"].values()]
        assert len(each) == 2
        assert figures[ratio] == max(each) > 0
