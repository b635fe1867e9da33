"""One process that is kept running: when it ends, it is started again after a pause.

The pause doubles with each end, so that a process that cannot run does not use up the machine,
and starts from the first one again after the process has run for a while. A process that runs but
shows no sign of life is killed, and so started again as well.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sigil.config.schema import ProcessRole
from sigil.errors import SigilError
from sigil.host.processes import tail

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
# A process that has run this long counts as healthy.
STEADY_S = 30.0
# A process is looked at every 2 s: it hangs after 20 s without a sign, and after 60 s without its
# first one. Looks are counted, not seconds, since a machine that sleeps makes none.
MOST_SILENT_LOOKS, MOST_STARTING_LOOKS = 10, 30


class StartFailed(SigilError):
    """A process ended, or did not become ready, while everything was being started."""

    code = "up.start_failed"


def _explain_nothing() -> str:
    return ""


@dataclass
class Child:
    """A process and when to start it again.

    `spawn` starts it, and raises `OSError` if it cannot. `explain` says why it
    ended, or "". `role` is the one whose signs of life it shows; None if it shows none. Times are
    monotonic, in seconds.
    """

    name: str
    spawn: Callable[[], subprocess.Popen[bytes]]
    log: Path
    role: ProcessRole | None = None
    explain: Callable[[], str] = _explain_nothing
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE_S
    due_at: float = 0.0
    sign: object = None
    silent_looks: int = 0
    is_hung: bool = False

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return 0 if self.process is None else self.process.pid

    def start(self) -> None:
        """Starts the process now. Raises what `spawn` raises, or `StartFailed`."""
        self.sign, self.silent_looks, self.is_hung = None, 0, False
        self.started_at = time.monotonic()
        try:
            self.process = self.spawn()
        except (OSError, subprocess.SubprocessError) as error:
            raise StartFailed(f"{self.name} cannot be started: {error}") from error

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

        Call it regularly. Returns a sentence for people when it finds that the process ended. If
        it ends again and again, they are told a few times, and once more when it runs again.
        """
        if self.process is None:
            if time.monotonic() < self.due_at:
                return None
            try:
                self.start()
            except SigilError as error:
                return self._rest(f"cannot be started ({error})")
            return None
        code = self.process.poll()
        if code is None:
            return self._note_steady()
        self.process = None
        cause = self.explain()
        news = self._rest(f"ended (exit code {code}{': ' if cause else ''}{cause})")
        return None if self.is_hung else news

    def _rest(self, what: str) -> str | None:
        pause = self.pause
        self.due_at = time.monotonic() + pause
        self.pause = min(2 * pause, LONGEST_PAUSE_S)
        if pause == LONGEST_PAUSE_S:
            return None
        return f"{self.name} {what} and is started again in {pause:g} s; see {self.log}"

    def _note_steady(self) -> str | None:
        if self.pause == FIRST_PAUSE_S or time.monotonic() - self.started_at < STEADY_S:
            return None
        was_given_up, self.pause = self.pause == LONGEST_PAUSE_S, FIRST_PAUSE_S
        return f"{self.name} runs again" if was_given_up else None

    # ------------------------------------------------------------ signs of life

    def shows(self, sign: object) -> bool:
        """Takes down the newest sign of life, None if there is none; whether it is a new one."""
        if sign is None or sign == self.sign:
            return False
        self.sign, self.silent_looks = sign, 0
        return True

    def miss(self) -> str | None:
        """Counts a look without a new sign. After too many in a row kills the process, which
        `revive` then starts again; returns a sentence for people."""
        self.silent_looks += 1
        if self.silent_looks < (MOST_STARTING_LOOKS if self.sign is None else MOST_SILENT_LOOKS):
            return None
        self.silent_looks = 0
        self.is_hung = True
        if self.process is not None:
            self.process.kill()
        return f"{self.name} shows no sign of life any more and is replaced; see {self.log}"
