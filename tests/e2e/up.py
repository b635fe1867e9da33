"""A `sigil up` that tests start, look at and kill."""

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.workers.stack import ROOT, wait_until

# Nobody waits 20 s for a process that hangs: its signs of life are looked for more often.
QUICK = """
from sigil.cli import main
from sigil.host import supervisor, valkey_address
supervisor.LOOK_EVERY_S = 0.5
valkey_address.ANSWER_WITHIN_S = 0.5
main()
"""


class Up:
    """A `sigil up` in a session of its own, as a terminal would have it."""

    def __init__(self, folder: Path, *options: str, **overrides: object) -> None:
        self.folder = folder
        self.out = folder / "up.out"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SIGIL_")}
        self.env = kept | {
            "PYTHONPATH": str(ROOT),
            "SIGIL_DATA_DIR": str(folder / "data"),
            "SIGIL_GATEWAY__PORT": "0",
            "XDG_CONFIG_HOME": str(folder),
            **{f"SIGIL_{name}": str(value) for name, value in overrides.items()},
        }
        self.began = time.monotonic()
        with self.out.open("wb") as output:
            self.process = self.run("up", *options, stdout=output, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def run(self, *argv: str, **kwargs: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", QUICK, *argv],
            env=self.env,
            cwd=self.folder,
            start_new_session=True,
            **kwargs,
        )

    def ready(self) -> str:
        """The first address that it prints, once it is there."""

        def says() -> bool:
            assert self.process.poll() is None, self.output
            return "http://" in self.output and "Logs" in self.output

        wait_until(says, within=60)
        return re.search(r"http://\S+", self.output)[0]

    @property
    def output(self) -> str:
        return self.out.read_text()

    def family(self) -> dict[int, str]:
        """Its processes by pid, as the system knows them: all that work on this folder."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environ = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if command and str(self.folder).encode() in environ + command.encode():
                found[int(entry.name)] = command
        return found

    def child(self, words: str) -> int:
        (pid,) = (pid for pid, command in self.family().items() if words in command)
        return pid


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as page:
            return page.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def running(folder: Path, **overrides: object) -> Iterator[Up]:
    up = Up(folder, **overrides)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            up.process.wait(20)
