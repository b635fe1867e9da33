"""Where a run takes place: a folder, a Valkey in it, and worker processes with a link each."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis.asyncio as aioredis
import yaml
from redis.exceptions import RedisError

from sigil.host.processes import spawn
from tests.chaos.proxy import Proxy
from tests.conftest import valkey_binary

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
CREW = {"routing": 2, "agent": 3, "outbound": 2}


def write_config(folder: Path, *, lanes: dict[str, Any], provider: dict[str, Any]) -> Path:
    """The configuration of every process of a run, links aside."""
    sends = {"file": str(folder / "platform.jsonl"), "latency": 0.02}
    config = {
        "data_dir": str(folder / "data"),
        "redis": {"url": f"unix://{folder / 'valkey.sock'}"},
        "channels": {
            "chaos": {
                "type": "tests.chaos.peers:FileChannel",
                "pairing": "open",
                "coalesce": False,
                "options": sends,
            }
        },
        "providers": {"scripted": {"type": "tests.chaos.peers:ScriptedEcho", "options": provider}},
        "models": {"default": "scripted/echo"},
        "agent": {"window": 1000},
        "lanes": lanes,
        "limits": {"messages_per_minute": None},
        "logging": {"format": "json", "level": "INFO"},
    }
    path = folder / "sigil.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


async def until(
    what: str, is_so: Callable[[], Awaitable[bool]], within: float, every: float = 0.05
) -> float:
    """Waits until something is so and returns the seconds it took. Raises `TimeoutError`."""
    began = time.monotonic()
    while not await is_so():
        if time.monotonic() - began > within:
            raise TimeoutError(f"{what}: not within {within:.0f} s")
        await asyncio.sleep(every)
    return time.monotonic() - began


class Valkey:
    """A server that loses nothing it acknowledged, whatever is done to it."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        binary = valkey_binary()
        if binary is None:
            raise RuntimeError("there is no Valkey for this platform")
        # A SIGKILLed server leaves its socket behind.
        self.socket.unlink(missing_ok=True)
        flags = [
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "always"),
            *("--save", "", "--maxmemory-policy", "noeviction"),
        ]
        self._process = spawn([str(binary), *flags], log=self._folder / "valkey.log")
        await until("Valkey answers", self._answers, START_S, 0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def connect(self) -> aioredis.Redis:
        """A connection of its own, past all links."""
        return aioredis.Redis(unix_socket_path=str(self.socket), retry=None)

    async def _answers(self) -> bool:
        async with self.connect() as client:
            try:
                return bool(await client.ping())
            except RedisError:
                return False


@dataclass
class Worker:
    """A place in the crew: who dies is replaced by a new process on the same link. `root` is the
    tree of sources that it runs."""

    role: str
    number: int
    folder: Path
    proxy: Proxy | None = None
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    lives: int = 0
    root: Path = ROOT

    @property
    def name(self) -> str:
        return f"{self.role}-{self.number}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        self.lives += 1
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SIGIL_")}
        env = {
            **ours,
            **self.env,
            "SIGIL_CONFIG": self.env.get("SIGIL_CONFIG", str(self.folder / "sigil.yaml")),
            "CHAOS_SEED": f"{self.env.get('CHAOS_SEED', '')}:{self.name}:{self.lives}",
            "PYTHONPATH": str(self.root),
        }
        if self.proxy is not None:
            env["SIGIL_REDIS__URL"] = f"unix://{self.proxy.address}"
        self.process = spawn(self.make_command(), log=self.log, env=env)

    def make_command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "tests.chaos.worker", self.role]

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def freeze(self, seconds: float, *, goes_on: bool = True) -> None:
        """Stops the process as it is now; if it is killed meanwhile, its successor runs on. One
        that does not go on is killed at the end."""
        process = self.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT if goes_on else signal.SIGKILL)

    async def ready(self) -> bool:
        return self.log.exists() and b" ready." in self.log.read_bytes()


async def tend(workers: Sequence[Worker]) -> None:
    """Starts anew who died, as `sigil up` does."""
    while True:
        for worker in workers:
            if worker.process is not None and worker.process.poll() is not None:
                worker.start()
        await asyncio.sleep(0.1)


def crew(folder: Path, env: dict[str, str], places: dict[str, int] | None = None) -> list[Worker]:
    """The workers of a run, not started yet."""
    return [
        Worker(role, number, folder, env=env)
        for role, count in (places or CREW).items()
        for number in range(count)
    ]
