"""One process that is kept running: when it ends, it is started again after a pause.

The pause doubles with each end, so that a process that cannot run does not use up the machine,
and starts from the first one again after the process has run for a while.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sigil.config.schema import WorkerRole
from sigil.errors import SigilError
from sigil.host.processes import spawn, tail

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
# A process that has run this long counts as healthy.
STEADY_S = 30.0


class StartFailed(SigilError):
    """A process ended, or did not become ready, while everything was being started."""

    code = "up.start_failed"


@dataclass
class Child:
    """A process and when to start it again. `worker` is the role whose sign of life it shows,
    None for a process that is not a worker. Times are monotonic, in seconds."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    worker: WorkerRole | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE_S
    due_at: float = 0.0

    def start(self) -> None:
        """Starts the process now."""
        self.process = spawn(self.argv, log=self.log, env=self.env)
        self.started_at = time.monotonic()

    def check_start(self) -> None:
        """Raises `StartFailed`, with the last lines of the log, if the process has ended."""
        code = None if self.process is None else self.process.poll()
        if code is not None:
            raise StartFailed(
                f"{self.name} did not start (exit code {code}); "
                f"{self.log} ends with:{tail(self.log)}"
            )

    def revive(self) -> str | None:
        """Starts the process again if it has ended and its pause is over.

        Call it regularly. Returns a sentence for people when it finds that the process ended.
        """
        now = time.monotonic()
        if self.process is None:
            if now >= self.due_at:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        if now - self.started_at > STEADY_S:
            self.pause = FIRST_PAUSE_S
        pause = self.pause
        self.process = None
        self.due_at = now + pause
        self.pause = min(2 * pause, LONGEST_PAUSE_S)
        return (
            f"{self.name} ended (exit code {code}) and is started again in {pause:g} s; "
            f"see {self.log}"
        )
