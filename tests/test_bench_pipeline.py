"""`make bench`, in small: it runs to its end and prints its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.valkey,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("fleets"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="figures come from /proc"),
]


def run(*options: str) -> dict[str, Any]:
    small = ("--rounds", "1", "--messages", "200")
    command = [sys.executable, "benchmarks/pipeline.py", *small, *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def test_the_whole_path_is_compared_with_raw_celery():
    figures = run("--idle", "5")
    ratios = {"burst_ratio", "spread_ratio", "idle_ratio"}
    costs = {"idle_p50_ms", "idle_p99_ms", "cpu_us", "commands", "bytes_per_message"}
    assert figures.keys() >= ratios | costs
    assert all(figure > 0 for figure in figures.values())


def test_idle_sessions_are_made_and_measured():
    figures = run("--scale", "--agents", "--idle-sessions", "50", "400")
    few, many = figures["sessions"]["50"], figures["sessions"]["400"]
    assert many["keys"] > few["keys"] + 350
    assert all(figure > 0 for figure in many.values())
