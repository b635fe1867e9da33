"""Somebody who follows a page of the documentation to the letter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sigil.config.addresses import find_free_port
from tests.docs.page import Command, File
from tests.workers.stack import ROOT

PORT_OF_THE_PAGE = "8787"
END = "--- end of the command: "


class Reader:
    """Somebody with a shell in the checkout, and a second one for what goes on running."""

    def __init__(self, folder: Path) -> None:
        self.port = str(find_free_port("127.0.0.1", 0))
        kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        self.shell = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=kept
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "SIGIL_GATEWAY__PORT": self.port,
                "TMPDIR": str(folder),
                "XDG_CONFIG_HOME": str(folder),
            },
        )
        self.log = folder / "running.out"
        self.running: subprocess.Popen[bytes] | None = None

    def save(self, file: File) -> None:
        self.folder.joinpath(file.name).write_text(file.text)

    def type(self, command: Command) -> None:
        """Raises `AssertionError` if it fails, or prints something else than the page says."""
        if command.line == "sigil up":
            self.start(command)
            return
        status, output = self.run(command.line)
        output = self.hide_port(output)
        assert status == 0, output
        assert command.prints(output), f"$ {command.line}\n{output}"

    def start(self, command: Command) -> None:
        environ = dict(entry.split("=", 1) for entry in self.run("env -0")[1].split("\0")[:-1])
        with self.log.open("wb") as output:
            self.running = subprocess.Popen(
                command.line.split(),
                cwd=self.folder,
                env=environ,
                executable=self.run("type -P sigil")[1].strip(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not command.begins_with(self.printed):
            assert self.running.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.1)

    def press_ctrl_c(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGINT)
        assert self.running.wait(30) == 0, self.printed

    @property
    def folder(self) -> Path:
        return Path(self.run("pwd")[1].strip())

    @property
    def printed(self) -> str:
        return self.hide_port(self.log.read_text())

    def hide_port(self, output: str) -> str:
        return output.replace(self.port, PORT_OF_THE_PAGE)

    def run(self, line: str) -> tuple[int, str]:
        """The exit code of a line in the shell, and what it printed."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{line} </dev/null; echo '{END}'$?\n")
        self.shell.stdin.flush()
        output = ""
        for text in self.shell.stdout:
            before, end, status = text.partition(END)
            output += before
            if end:
                return int(status), output
        raise AssertionError(f"the shell ended: {output}")

    def leave(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()
            self.running.wait(30)
        self.shell.kill()
        self.shell.communicate()


def _is_ours(name: str) -> bool:
    return name.startswith(("SIGIL", "PYTEST", "PYTHONPATH", "COV_"))
