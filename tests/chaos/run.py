"""One run: bring the fleet up, let messages and faults flow, wait until all is drained, judge."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.stores import Stores, connect
from sigil.stores.redis.client import Client
from tests.chaos import clock, mutations
from tests.chaos.faults import Faults
from tests.chaos.proxy import Proxy
from tests.chaos.site import START_S, Valkey, Worker, crew, tend, until, write_config
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Verdict, gather, judge
from tests.chaos.worker import Dropping
from workers.publisher import wakeups

LEASE_S, RENEW_S = 3.0, 1.0
SLOW_S = LEASE_S + 0.5
DROPPED = 0.2
BLASTS, BLAST_EVERY_S = "blasts.jsonl", 30.0
CALM = "calm"  # this file says that the faults, lost wake-ups among them, are over
DRAIN_S = 20.0


@dataclass(frozen=True)
class Plan:
    """`seconds` is how long messages and faults flow, `drain` how long after the last fault
    there may be work; `mutant` names a safeguard to switch off, `keep` a folder to leave the
    logs in."""

    seed: int
    messages: int = 2400
    sessions: int = 40
    seconds: float = 60.0
    drain: float = DRAIN_S
    mutant: str = ""
    keep: Path | None = None


@dataclass
class Report:
    """`recovery_s` is the time from the end of the last fault, or of the last message if that
    came later, until no lane had work."""

    verdict: Verdict
    accepted: int
    recovery_s: float
    figures: Counter[str]


async def run(plan: Plan) -> Report:
    clock.apply()
    mutations.apply(plan.mutant)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        return await _run(plan, folder)
    finally:
        if plan.keep is not None:
            shutil.copytree(folder, plan.keep, dirs_exist_ok=True, ignore=_no_sockets)
        shutil.rmtree(folder, ignore_errors=True)


def _no_sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


async def _run(plan: Plan, folder: Path) -> Report:
    lanes = {"lease": LEASE_S, "renew": RENEW_S, "cap": 100_000}
    provider = {"latency": 0.02, "slow": SLOW_S, "blasts": str(folder / BLASTS)}
    config = write_config(folder, lanes=lanes, provider=provider)
    env = {
        "CHAOS_SEED": str(plan.seed),
        "CHAOS_DROP": str(DROPPED),
        "CHAOS_CLOCK": "steps",
        "CHAOS_MUTANT": plan.mutant,
        "CHAOS_CALM": str(folder / CALM),
    }
    valkey, workers = Valkey(folder), crew(folder, env)
    names = ["gateway", *(worker.name for worker in workers)]
    links = [Proxy(folder / f"{name}.sock", valkey.socket) for name in names]
    try:
        await valkey.start()
        for link in links:
            await link.start()
        for worker, link in zip(workers, links[1:], strict=True):
            worker.proxy = link
            worker.start()
        for worker in workers:
            await until(f"{worker.name} is ready", worker.ready, START_S)
        return await _flow(plan, config, valkey, workers, links)
    finally:
        for worker in workers:
            worker.kill()
        for link in links:
            await link.close()
        valkey.kill()


async def _flow(
    plan: Plan, config: Path, valkey: Valkey, workers: list[Worker], links: list[Proxy]
) -> Report:
    settings = load_settings(
        config, role="gateway", environ={"SIGIL_REDIS__URL": f"unix://{links[0].address}"}
    )
    publisher = wakeups(settings)
    calm = config.parent / CALM
    dropping = Dropping(publisher, DROPPED, random.Random(f"{plan.seed}:gateway"), calm)
    gateway = build(settings, wakeups=dropping)
    stores = connect(f"unix://{valkey.socket}")
    traffic = Traffic(
        gateway,
        seed=plan.seed,
        messages=plan.messages,
        sessions=plan.sessions,
        seconds=plan.seconds,
        blasts=max(1, round(plan.seconds / BLAST_EVERY_S)),
    )
    prefix = settings.redis.prefix
    faults = Faults(workers, links, valkey, seed=plan.seed, lease=LEASE_S, prefix=prefix)
    tending = asyncio.create_task(tend(workers))
    try:
        await asyncio.gather(traffic.run(), faults.run(plan.seconds))
        calm.touch()
        ended = max(faults.ended, traffic.ended)
        left = await _drain(stores, plan.drain)
        recovery_s = time.monotonic() - ended
        logs = [worker.log for worker in workers]
        platform = config.parent / "platform.jsonl"
        verdict = judge(await gather(stores, traffic.accepted, platform, logs))
    finally:
        tending.cancel()
        await gateway.close()
        await stores.backend.close()
        publisher.close()
    if left:
        verdict.problems.append(
            f"{left} lanes still had work {plan.drain:.0f} s after the last fault"
        )
    accepted = sum(map(len, traffic.accepted.values()))
    figures = faults.done + Counter(
        {
            "ended by a message": len(_read_lines(config.parent / BLASTS)),
            "delivered twice": traffic.repeats,
            "receive retried": traffic.retries,
        }
    )
    return Report(verdict, accepted, recovery_s, figures)


def _read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def _drain(stores: Stores, within: float) -> int:
    """Waits until no lane has work; returns how many still had when the time was up."""
    client = stores.backend
    assert isinstance(client, Client)

    async def due() -> int:
        return int(await client.redis.zcard(client.keys.due()))

    async def is_drained() -> bool:
        return await due() == 0

    try:
        await until("drained", is_drained, within)
    except TimeoutError:
        return await due()
    return 0
