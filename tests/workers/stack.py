"""A real Valkey and real worker processes, for tests of what happens when they die."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.errors import StoreError
from sigil.gateway import Gateway
from sigil.host import embedded
from sigil.messages.exchange import InboundMessage
from workers.publisher import wakeups

ROOT = Path(__file__).parents[2]
# A word of an answer per second, so that a text's length is a turn's length.
CONFIG = """
providers:
  slow: {type: echo, options: {delay: 1.0}}
models: {default: slow/echo}
"""


def environ(folder: Path, config: str = CONFIG, **overrides: object) -> dict[str, str]:
    """What a process of this stack is given; nothing of the machine's own configuration."""
    (folder / "sigil.yaml").write_text(config)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SIGIL_")}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "SIGIL_CONFIG": str(folder / "sigil.yaml"),
        "SIGIL_DATA_DIR": str(folder / "data"),
        "SIGIL_LIMITS__MESSAGES_PER_MINUTE": "null",  # most tests write as one person
        **{f"SIGIL_{name}": str(value) for name, value in overrides.items()},
    }


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """pytest's own folders can be too long for a socket's path."""
    folder = Path(tempfile.mkdtemp(prefix="sg-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Stack:
    def __init__(self, folder: Path, config: str = CONFIG, **overrides: object) -> None:
        self.folder = folder
        self.env = environ(folder, config, **overrides)
        self.settings = load_settings(environ=self.env)
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.valkey = embedded.start(self.settings.data_dir)
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.valkey.stop()

    def start(self, *argv: str, log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *argv],
                env=self.env,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self, role: str) -> subprocess.Popen[bytes]:
        """A worker that takes tasks by now."""
        process = self.start("sigil", "worker", role, log=f"{role}.log")
        self.wait_alive(role, process)
        return process

    def wait_alive(self, role: str, process: subprocess.Popen[bytes]) -> None:
        from sigil.host.heartbeat import find_live_workers

        def alive() -> bool:
            assert process.poll() is None, self.log(role)
            return process.pid in find_live_workers(self.settings, role)

        wait_until(alive, within=30)

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text()

    def restart_valkey(self, *, down_s: float) -> None:
        self.valkey.process.send_signal(signal.SIGKILL)
        self.valkey.stop()
        time.sleep(down_s)  # how long the outage lasts
        self.valkey = embedded.start(self.settings.data_dir)

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[Gateway]:
        publisher = wakeups(self.settings)
        gateway = build(self.settings, wakeups=publisher)
        try:
            yield gateway
        finally:
            await gateway.close()
            publisher.close()


def wait_until(condition, *, within: float, every: float = 0.05) -> float:
    """How many seconds it took; fails if it took longer."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within} s"
        time.sleep(every)
    return time.monotonic() - began


async def until_so(is_so: Callable[[], Awaitable[bool]], *, within: float) -> None:
    """Returns when it is so."""
    async with asyncio.timeout(within):
        while not await is_so():
            await asyncio.sleep(0.05)


async def say(gateway: Gateway, chat: str, text: str) -> None:
    """Until it is accepted, as a listener does."""
    message = InboundMessage(
        channel_type="web",
        channel_id=chat,
        message_id=uuid.uuid4().hex,
        sender_id="owner",
        content=text,
    )
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreError):
                await gateway.receive(message)
                return
            await asyncio.sleep(0.05)


async def events(gateway: Gateway, chat: str, kind: str) -> list[dict[str, object]]:
    found = await gateway.stores.chats.read(f"web:{chat}")
    return [dict(record.data) for record in found if record.data["type"] == kind]


async def until(gateway: Gateway, chat: str, kind: str, *, within: float, count: int = 1) -> None:
    """Returns when the chat's log has so many events of this kind."""
    async with asyncio.timeout(within):
        while len(await events(gateway, chat, kind)) < count:
            await asyncio.sleep(0.05)
