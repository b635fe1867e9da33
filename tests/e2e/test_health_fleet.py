"""Four worker processes learn from each other which model rests: one Redis, one vendor."""

import asyncio
import json
import os
import sys
import time
import uuid
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sigil.providers.chain.health_store import Cooldown
from sigil.providers.names import fingerprint
from sigil.stores import connect
from sigil.testing import end_cooldowns, expire_probes

pytestmark = [pytest.mark.valkey, pytest.mark.slow, pytest.mark.timeout(120)]
in_turn = pytest.mark.xdist_group("fleets")

ROOT = Path(__file__).parents[2]
WORKERS = 4
KEYS = ("sk-the-first-of-two-keys", "sk-the-second-of-two-keys")
MAIN, BACKUP = "main/gpt-x", "backup/gpt-y"


@dataclass
class Vendor:
    """Counts the calls of each model; `fails` names models that answer 500, `limited` keys that
    answer 429. While `held` is set, calls of the model `gpt-x` wait for `let_go`."""

    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    fails: set[str] = field(default_factory=set)
    limited: set[str] = field(default_factory=set)
    held: bool = False
    came: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            model = json.loads(await reader.readexactly(length))["model"]
            key = head.partition("authorization: bearer ")[2].split("\r\n")[0]
            self.calls[model] += 1
            self.keys[key] += 1
            if self.held and model == "gpt-x":
                self.came.set()
                await self.let_go.wait()
            writer.write(self._answer(model, key))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the caller was killed
        finally:
            writer.close()

    def _answer(self, model: str, key: str) -> bytes:
        if model in self.fails or key in self.limited:
            status, kind = "429 x" if key in self.limited else "500 x", "application/json"
            body = json.dumps({"error": {"message": "not now"}})
        else:
            status, kind = "200 OK", "text/event-stream"
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
            choice = {"index": 0, "delta": {"content": model}, "finish_reason": "stop"}
            body = f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\ndata: [DONE]\n\n"
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


class Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def ask(self, session: str = "a-session") -> None:
        self.process.stdin.write(f"{session}\n".encode())

    async def answer(self) -> dict:
        return json.loads(await self.process.stdout.readline())

    async def call(self, session: str = "a-session") -> dict:
        self.ask(session)
        return await self.answer()


@dataclass
class Fleet:
    vendor: Vendor
    stores: object
    workers: list[Worker]

    async def all_call(self) -> list[dict]:
        return await asyncio.gather(*(worker.call() for worker in self.workers))

    async def hold_a_probe(self) -> tuple[Worker, list[Worker]]:
        """All call at once; returns the one whose call the vendor holds, and the others, who
        were answered meanwhile."""
        self.vendor.held = True
        self.vendor.came.clear()
        waiting = {asyncio.create_task(worker.call()): worker for worker in self.workers}
        while len(waiting) > 1:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                assert task.result()["text"] == "gpt-y"
                waiting.pop(task)
        ((self.held_call, prober),) = waiting.items()
        await self.vendor.came.wait()
        return prober, [worker for worker in self.workers if worker is not prober]


@asynccontextmanager
async def fleet(valkey_url: str, folder: Path, keys=(KEYS[0],)):
    vendor = Vendor()
    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        prefix = f"fleet-{uuid.uuid4().hex}:"
        config = folder / "sigil.yaml"
        openai = {"type": "openai", "base_url": f"http://127.0.0.1:{port}/v1"}
        config.write_text(
            json.dumps(
                {
                    "redis": {"url": valkey_url, "prefix": prefix},
                    "providers": {
                        "main": {**openai, "api_keys": list(keys)},
                        "backup": {**openai, "api_key": "sk-of-the-backup"},
                    },
                    "models": {"default": MAIN, "failover": [BACKUP]},
                }
            )
        )
        stores = connect(valkey_url, prefix=prefix)
        stack.push_async_callback(stores.backend.close)
        workers = [await stack.enter_async_context(worker(config)) for _ in range(WORKERS)]
        for each in workers:
            assert await each.process.stdout.readline() == b"ready\n"
        yield Fleet(vendor, stores, workers)


@asynccontextmanager
async def worker(config: Path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.model_worker", str(config)),
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("SIGIL_")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Worker(process)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def list_texts(answers: list[dict]) -> list[str]:
    return [answer["text"] for answer in answers]


@in_turn
async def test_a_failure_of_one_is_known_to_all_and_one_probe_ends_it(valkey_url, tmp_path):
    async with fleet(valkey_url, tmp_path) as site:
        vendor, (first, *others) = site.vendor, site.workers
        assert list_texts(await site.all_call()) == ["gpt-x"] * WORKERS
        assert vendor.calls == {"gpt-x": WORKERS}

        vendor.fails.add("gpt-x")
        answer = await first.call()
        assert answer["text"] == "gpt-y"
        assert [attempt[:2] for attempt in answer["attempts"]] == [[MAIN, False], [BACKUP, True]]
        for _ in range(3):
            assert (
                list_texts(await asyncio.gather(*(each.call() for each in others))) == ["gpt-y"] * 3
            )
        assert vendor.calls["gpt-x"] == WORKERS + 1

        await end_cooldowns(site.stores)
        assert list_texts(await site.all_call()) == ["gpt-y"] * WORKERS
        assert vendor.calls["gpt-x"] == WORKERS + 2  # one probe, in vain
        (cooldown,) = await site.stores.health.list_cooldowns()
        assert (cooldown.failures, cooldown.reason) == (2, "server")
        assert 50 < cooldown.seconds <= 60

        vendor.fails.clear()
        await end_cooldowns(site.stores)
        await site.hold_a_probe()
        assert vendor.calls["gpt-x"] == WORKERS + 3
        vendor.let_go.set()
        assert (await site.held_call)["text"] == "gpt-x"
        assert list_texts(await site.all_call()) == ["gpt-x"] * WORKERS
        assert vendor.calls["gpt-x"] == 2 * WORKERS + 3


@in_turn
async def test_after_a_prober_was_killed_the_next_one_probes(valkey_url, tmp_path):
    async with fleet(valkey_url, tmp_path) as site:
        vendor = site.vendor
        vendor.fails.add("gpt-x")
        await site.workers[0].call()
        vendor.fails.clear()
        await end_cooldowns(site.stores)
        prober, site.workers = await site.hold_a_probe()
        assert vendor.calls["gpt-x"] == 2
        prober.process.kill()
        await prober.process.wait()
        await asyncio.wait([site.held_call])

        assert list_texts(await site.all_call()) == ["gpt-y"] * 3
        assert vendor.calls["gpt-x"] == 2
        await expire_probes(site.stores)
        await site.hold_a_probe()
        assert vendor.calls["gpt-x"] == 3
        vendor.let_go.set()
        assert (await site.held_call)["text"] == "gpt-x"
        assert list_texts(await site.all_call()) == ["gpt-x"] * 3


@in_turn
async def test_a_limited_key_rests_alone_in_all_processes(valkey_url, tmp_path):
    async with fleet(valkey_url, tmp_path, keys=KEYS) as site:
        limited, free = KEYS
        site.vendor.limited.add(limited)
        sessions = [f"session-{number}" for number in range(WORKERS)]
        for _ in range(2):
            answers = [
                await each.call(session)
                for each, session in zip(site.workers, sessions, strict=True)
            ]
            assert list_texts(answers) == ["gpt-x"] * WORKERS
        assert site.vendor.keys[limited] == 1
        assert site.vendor.keys[free] == 2 * WORKERS
        (cooldown,) = await site.stores.health.list_cooldowns()
        assert cooldown.key == fingerprint("main", limited)


async def test_a_probe_that_nobody_renews_lasts_half_a_minute(valkey_url):
    stores = connect(valkey_url, prefix=f"fleet-{uuid.uuid4().hex}:")
    health = stores.health
    grant = await health.admit("main", "gpt-x", ["key"], None, "first")
    await health.record_failure(grant, "server", (0.05,))

    async def until_admitted(token: str) -> float:
        began = time.monotonic()
        while isinstance(await health.admit("main", "gpt-x", ["key"], None, token), Cooldown):
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    assert await until_admitted("second") < 10
    assert 25 < await until_admitted("third") < 40
    await stores.backend.close()
