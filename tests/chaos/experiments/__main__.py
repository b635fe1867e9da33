"""`python -m tests.chaos.experiments NAME…`: what happens in one fault, with its figures.

Some are tests of the suite, run here at the size of real life.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from tests.chaos.experiments import faults
from tests.chaos.site import ROOT


@dataclass(frozen=True)
class Tests:
    """Tests of the suite that are the experiment; `env` makes them as large as it is."""

    nodes: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)

    def run(self) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
        env = os.environ | self.env
        ended = subprocess.run([*command, *self.nodes], cwd=ROOT, env=env, check=False)
        return ended.returncode == 0


BLAME, UP = "tests/e2e/test_blame.py::", "tests/e2e/test_up_faults.py::"
ORPHAN = "test_a_valkey_that_hangs_while_its_supervisor_is_killed_is_ended_before_the_next_starts"
CROWD = {"CROWD": "5000", "CROWD_SLOTS": "20", "CROWD_SECONDS": "60"}

EXPERIMENTS: dict[str, Tests | Callable[[], Awaitable[None]]] = {
    "blast": Tests(
        (f"{BLAME}test_a_message_that_ends_its_process_dies_alone",), {"BLAME_LEASE": "15"}
    ),
    "lost": Tests(
        (f"{BLAME}test_lanes_that_were_lost_once_all_run_again_together",), {"BLAME_LEASE": "15"}
    ),
    "oom": faults.fill_memory,
    "clock-back": functools.partial(faults.step_clock, -1),
    "clock-forward": functools.partial(faults.step_clock, 25),
    "thrice": Tests(
        (f"{UP}test_a_message_is_answered_once_although_its_supervisor_is_killed_again_and_again",)
    ),
    "orphan": Tests((f"{UP}{ORPHAN}",)),
    "disk": Tests((f"{UP}test_a_full_disk_is_named_and_survived",)),
    "hung": Tests((f"{UP}test_what_hangs_is_replaced",)),
    "halfopen": Tests(("tests/web/chat/test_dead_link.py",)),
    "silent": faults.silence_connections,
    "backlog": Tests(("tests/e2e/test_crowd.py",), CROWD),
    "hot": faults.flood_one_chat,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "names", nargs="+", choices=EXPERIMENTS, metavar="NAME", help=", ".join(EXPERIMENTS)
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    outcomes = [_run(name) for name in parser.parse_args().names]
    return 0 if all(outcomes) else 1


def _run(name: str) -> bool:
    print(f"--- {name}", flush=True)
    experiment, began = EXPERIMENTS[name], time.monotonic()
    if isinstance(experiment, Tests):
        is_good = experiment.run()
    else:
        asyncio.run(_await(experiment))
        is_good = True
    print(f"{name}: {'as promised' if is_good else 'FAILED'}, {time.monotonic() - began:.0f} s")
    return is_good


async def _await(experiment: Callable[[], Awaitable[None]]) -> None:
    await experiment()


if __name__ == "__main__":
    sys.exit(main())
