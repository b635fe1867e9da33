"""`sigil chat` on a terminal of its own."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pages import clean_environment

pytestmark = [pytest.mark.valkey, pytest.mark.slow, pytest.mark.xdist_group("browser")]

SOON_S = 30.0


class Terminal:
    """A program on a pseudo-terminal; `seen` is what it has printed, without its colours."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self._own, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sigil", *words],
            cwd=cwd,
            env=clean_environment() | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
            stdin=other,
            stdout=other,
            stderr=other,
            preexec_fn=_take_terminal,
        )
        os.close(other)
        os.set_blocking(self._own, False)
        self._printed = b""

    @property
    def seen(self) -> str:
        try:
            while piece := os.read(self._own, 65_536):
                self._printed += piece
        except (BlockingIOError, OSError):
            pass
        text = self._printed.decode("utf-8", "ignore")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\x01\x02\r]", "", text)

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def wait_for(self, text: str, after: int = 0) -> int:
        """Waits for a text behind that place, and returns the place behind it."""
        deadline = time.monotonic() + SOON_S
        while (found := self.seen.find(text, after)) < 0:
            assert time.monotonic() < deadline, self.seen[after:]
            assert self.process.poll() is None, self.seen
            time.sleep(0.05)
        return found + len(text)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


def _take_terminal() -> None:
    """Makes the terminal the one whose Ctrl-C this process gets."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def terminal(lab: str, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal("chat", "--url", lab, cwd=tmp_path)
    yield terminal
    terminal.close()


def test_after_ctrl_c_each_answer_is_that_of_its_question(terminal: Terminal) -> None:
    at = terminal.wait_for("you>")
    for stops in range(2):
        terminal.type("/model lab/slow\n")
        at = terminal.wait_for("you>", terminal.wait_for("lab/slow from now on", at))
        terminal.type("a long one\n")
        terminal.wait_for("word12", at)
        terminal.type("\x03")
        asked, at = at, terminal.wait_for("you>", at)
        for text in ("word12", "· stopped", "Stopped."):
            assert text in terminal.seen[asked:at]
        terminal.type("/model lab/fast\n")
        at = terminal.wait_for("you>", terminal.wait_for("lab/fast from now on", at))
        for question in (f"first {stops}", f"second {stops}"):
            terminal.type(f"{question}\n")
            prompt = terminal.wait_for("you>", at)
            answer = terminal.seen[at:prompt]
            assert f"An answer to {question}." in answer
            assert "lab/fast · " in answer
            assert "word0" not in answer
            at = prompt
