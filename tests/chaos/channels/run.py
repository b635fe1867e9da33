"""One run: people write to a bot, the processes between are killed, and the chats are judged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sigil.stores import Stores, connect
from sigil.stores.redis.client import Client
from tests.chaos.channels.verdict import Verdict, find_doubtful, judge
from tests.chaos.site import START_S, Valkey, Worker, until
from tests.peers.telegram import TOKEN, Server, serve

CREW = {"routing": 1, "agent": 1, "outbound": 2}
GROUPS = 0.1  # this share of the chats are groups
SHARES = {"rate": 0.04, "internal": 0.03, "cut": 0.03, "done_then_cut": 0.03}
# The server waits as long for a bot that is not there any more as Telegram would.
KILL_EVERY_S = 3.0


@dataclass(frozen=True)
class Plan:
    """`seconds` is how long people write and processes are killed, `drain` how long it may take
    then until all is answered; `keep` is a folder to leave the logs in."""

    seed: int = 1
    messages: int = 1000
    chats: int = 50
    seconds: float = 90.0
    drain: float = 120.0
    keep: Path | None = None


@dataclass
class Report:
    """`recovery_s` is the time from the last kill until every chat had its answers."""

    verdict: Verdict
    written: int
    recovery_s: float
    figures: Counter[str] = field(default_factory=Counter)


class GatewayProcess(Worker):
    """A gateway at which nobody but Telegram's bot is of interest."""

    def make_command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "tests.chaos.channels.gateway"]


def write_config(folder: Path, server: Server) -> None:
    """The configuration of every process of a run."""
    config = {
        "data_dir": str(folder / "data"),
        "redis": {"url": f"unix://{folder / 'valkey.sock'}"},
        "gateway": {"port": 0},
        "channels": {
            "telegram": {
                "token": TOKEN,
                "base_url": server.url,
                "pairing": "open",
                "coalesce": False,
            }
        },
        "providers": {
            "namer": {"type": "tests.chaos.channels.peers:Namer", "options": {"latency": 0.5}}
        },
        "models": {"default": "namer/echo"},
        "lanes": {"lease": 3, "renew": 1, "cap": 1000},
        "limits": {"messages_per_minute": None},
        "logging": {"format": "json", "level": "INFO"},
    }
    (folder / "sigil.yaml").write_text(yaml.safe_dump(config))


async def run(plan: Plan) -> Report:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        async with serve() as server:
            return await _run(plan, folder, server)
    finally:
        if plan.keep is not None:
            for log in folder.glob("*.log"):
                shutil.copy(log, plan.keep)
        shutil.rmtree(folder, ignore_errors=True)


async def _run(plan: Plan, folder: Path, server: Server) -> Report:
    write_config(folder, server)
    written = _open_chats(plan, server)
    stores = connect(f"unix://{folder / 'valkey.sock'}")
    async with _start(folder) as crew:
        server.bot.faults.set_shares(SHARES, plan.seed)
        kills: Counter[str] = Counter()
        await asyncio.gather(_write(plan, server, written), _kill(plan, crew, kills))
        ended = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await until("all is answered", lambda: _is_drained(server, stores), plan.drain, 0.2)
        recovery_s = time.monotonic() - ended
        doubtful = await find_doubtful(stores, server.bot.chats)
        await stores.backend.close()
    shown = {chat: server.bot.shown(chat) for chat in written}
    verdict = judge(written, shown, doubtful, server.bot.pace.early)
    if recovery_s >= plan.drain:
        verdict.problems.append(f"lanes had work {plan.drain:.0f} s after the last kill")
    figures = kills + Counter(
        {
            "doubtful": len(doubtful),
            "calls": len(server.bot.calls),
            "polls": server.bot.updates.polls,
        }
    )
    return Report(verdict, sum(map(len, written.values())), recovery_s, figures)


@contextlib.asynccontextmanager
async def _start(folder: Path) -> AsyncIterator[list[Worker]]:
    """A Valkey, a gateway and the workers, ready."""
    crew: list[Worker] = [GatewayProcess("gateway", 0, folder)]
    crew += [Worker(role, n, folder) for role, count in CREW.items() for n in range(count)]
    valkey = Valkey(folder)
    try:
        await valkey.start()
        for worker in crew:
            worker.start()
        for worker in crew[1:]:
            await until(f"{worker.name} is ready", worker.ready, START_S)
        yield crew
    finally:
        for worker in crew:
            worker.kill()
        valkey.kill()


# ---------------------------------------------------------------- what happens


def _open_chats(plan: Plan, server: Server) -> dict[int, list[str]]:
    groups = round(plan.chats * GROUPS)
    for number in range(plan.chats):
        if number < groups:
            server.bot.add_chat(-1000 - number, "supergroup")
        else:
            server.bot.add_chat(1000 + number)
    return {chat: [] for chat in server.bot.chats}


async def _write(plan: Plan, server: Server, written: dict[int, list[str]]) -> None:
    """Each chat writes at an even pace, and says whom it means where others could be meant."""
    began = time.monotonic()
    rng = random.Random(plan.seed)
    per_chat = plan.messages // plan.chats
    times = sorted(
        ((turn + rng.random()) * plan.seconds / per_chat, chat)
        for chat in written
        for turn in range(per_chat)
    )
    for at, chat in times:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        marks = written[chat]
        marks.append(f"c{abs(chat) % 1000:03}-{len(marks):03}")
        if chat > 0:
            server.bot.write(chat, marks[-1], user=chat)
        else:
            mention = {"type": "mention", "offset": 0, "length": len("@sigil_bot")}
            text = f"@sigil_bot {marks[-1]}"
            server.bot.write(chat, text, user=5000 - chat, entities=[mention])


async def _kill(plan: Plan, crew: Sequence[Worker], kills: Counter[str]) -> None:
    """The gateway and one of the outbound workers, again and again."""
    rng = random.Random(plan.seed)
    outbound = [worker for worker in crew if worker.role == "outbound"]
    until_then = time.monotonic() + plan.seconds
    while time.monotonic() + KILL_EVERY_S < until_then:
        await asyncio.sleep(KILL_EVERY_S)
        for worker in (crew[0], rng.choice(outbound)):
            await asyncio.to_thread(worker.kill)
            worker.start()
            kills[f"{worker.role} killed"] += 1


async def _is_drained(server: Server, stores: Stores) -> bool:
    client = stores.backend
    assert isinstance(client, Client)
    if server.bot.updates.pending:
        return False
    return not int(await client.redis.zcard(client.keys.due()))
