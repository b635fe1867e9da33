"""A Sigil worker as `sigil worker ROLE` runs it, but for what the chaos run does to it:
wake-ups are dropped, the clock of the server steps, one safeguard may be switched off, and it may
be a version newer.

    python -m tests.chaos.worker ROLE
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigil.cli.commands import worker
from sigil.config import load_settings
from sigil.host import logs
from sigil.lanes.lane import Wakeups
from tests.chaos import clock, mutations, newer
from workers import app, publisher

_PR_SET_PDEATHSIG = 1


class Dropping:
    """Wake-ups of which a share is lost, until the file `calm` says that the faults are over."""

    def __init__(self, wakeups: Wakeups, share: float, rng: random.Random, calm: Path) -> None:
        self._wakeups = wakeups
        self._share = share
        self._rng = rng
        self._calm = calm
        self.dropped = 0

    def wake(self, lane: str) -> None:
        if self._rng.random() < self._share and not self._calm.exists():
            self.dropped += 1
        else:
            self._wakeups.wake(lane)

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        kept = [lane for lane in lanes if self._rng.random() >= self._share or self._calm.exists()]
        self.dropped += len(lanes) - len(kept)
        self._wakeups.wake_again(kept, together=together)

    @property
    def lanes_per_wakeup(self) -> int:
        return self._wakeups.lanes_per_wakeup

    @lanes_per_wakeup.setter
    def lanes_per_wakeup(self, lanes: int) -> None:
        self._wakeups.lanes_per_wakeup = lanes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wakeups, name)


def main(role: str) -> int:
    # A frozen worker must not outlive the harness, so it is SIGKILL and not SIGTERM.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.environ.get("CHAOS_CLOCK"):
        clock.apply()
    mutations.apply(os.environ.get("CHAOS_MUTANT", ""))
    if os.environ.get("CHAOS_NEWER"):
        newer.apply()
    share = float(os.environ.get("CHAOS_DROP", "0"))
    rng = random.Random(os.environ.get("CHAOS_SEED", ""))
    calm = Path(os.environ.get("CHAOS_CALM", os.devnull))
    app.wakeups = lambda settings: Dropping(publisher.wakeups(settings), share, rng, calm)
    settings = load_settings(role=role)
    logs.setup(settings, role=role)
    return worker.run(settings, role)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
