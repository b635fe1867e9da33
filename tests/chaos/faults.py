"""What is done to a running fleet, each kind at its own pace, random from the seed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from sigil.stores.redis import client
from tests.chaos import clock
from tests.chaos.proxy import Proxy, Wanted, calls, commits_that_keep
from tests.chaos.site import Valkey, Worker

# Seconds between two faults of a kind. They are so far apart that hardly any innocent message loses
# its lease five times in a row by chance: then it would be given up, as it should be.
KILL_S, HANG_S, FREEZE_S, VALKEY_S, FULL_S, CLOCK_S = 3.5, 20.0, 15.0, 13.0, 14.0, 13.0
CUT_S, STALL_S, SILENCE_S, SWALLOW_S = 6.0, 10.0, 12.0, 1.5
STEP_BACK_S = 3600
# So long no answer comes, until a client gives a connection up.
GIVEN_UP_S = client.ANSWER_WITHIN_S
SCRIPTS = ("push", "take", "commit", "renew", "park")


class Faults:
    """`done` counts what happened; `ended` is when the last of it was over (monotonic)."""

    def __init__(
        self,
        workers: list[Worker],
        links: list[Proxy],
        valkey: Valkey,
        *,
        seed: int,
        lease: float,
        prefix: str,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.ended = time.monotonic()
        self._workers = workers
        self._links = links
        self._valkey = valkey
        self._seed = seed
        self._lease = lease
        self._prefix = prefix
        self._shas: dict[str, str] = {}

    async def run(self, seconds: float) -> None:
        """Begins no fault after `seconds`; returns when all are over."""
        for name in SCRIPTS:
            text = client.script_text(name)
            self._shas[name] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        until = time.monotonic() + seconds
        kinds: list[tuple[float, Callable[[random.Random], Awaitable[None]]]] = [
            (KILL_S, self._kill),
            (HANG_S, self._hang),
            (FREEZE_S, self._freeze),
            (VALKEY_S, self._kill_valkey),
            (FULL_S, self._fill),
            (CLOCK_S, self._step_clock_back),
            (CUT_S, self._cut),
            (STALL_S, self._stall),
            (SILENCE_S, self._silence),
            (SWALLOW_S, self._swallow),
        ]
        await asyncio.gather(*(self._repeat(pause, kind, until) for pause, kind in kinds))
        for link in self._links:
            link.swallow(None)
        self.done["swallowed"] = sum(link.swallowed for link in self._links)

    async def _repeat(
        self, pause: float, kind: Callable[[random.Random], Awaitable[None]], until: float
    ) -> None:
        rng = random.Random(f"{self._seed}:{kind.__name__}")
        following = time.monotonic() + pause * rng.uniform(0.4, 0.6)
        while following < until:
            await asyncio.sleep(max(0.0, following - time.monotonic()))
            await kind(rng)
            self.ended = max(self.ended, time.monotonic())
            following += pause * rng.uniform(0.8, 1.2)

    async def _kill(self, rng: random.Random) -> None:
        worker = rng.choice(self._workers)
        worker.kill()
        worker.start()
        self.done["workers killed"] += 1

    async def _hang(self, rng: random.Random) -> None:
        """A worker hangs for good; at last somebody notices and replaces it."""
        worker = rng.choice(self._workers)
        self.done["workers hung"] += 1
        await worker.freeze(self._lease + rng.uniform(2, 5), goes_on=False)

    async def _cut(self, rng: random.Random) -> None:
        link = rng.choice(self._links)
        if rng.random() < 0.5:
            link.cut_one(rng)
        else:
            link.cut_all()
        self.done["links cut"] += 1

    async def _kill_valkey(self, rng: random.Random) -> None:
        self._valkey.kill()
        await asyncio.sleep(rng.uniform(0, 0.5))
        await self._valkey.start()
        self.done["Valkey killed"] += 1

    async def _fill(self, rng: random.Random) -> None:
        """No memory is left for a while."""
        async with self._valkey.connect() as redis:
            with contextlib.suppress(RedisError):  # it is down
                used = (await redis.info("memory"))["used_memory"]
                await redis.config_set("maxmemory", used // 2)
                self.done["memory full"] += 1
            await asyncio.sleep(rng.uniform(1.5, 3))
            with contextlib.suppress(RedisError):  # its successor has no limit
                await redis.config_set("maxmemory", 0)

    async def _step_clock_back(self, rng: random.Random) -> None:
        async with self._valkey.connect() as redis:
            with contextlib.suppress(RedisError):
                await clock.step(redis, self._prefix, -STEP_BACK_S)
                self.done["clock stepped back"] += 1

    async def _freeze(self, rng: random.Random) -> None:
        worker = rng.choice(self._workers)
        self.done["workers frozen"] += 1
        await worker.freeze(self._lease + rng.uniform(0.5, 2))

    async def _stall(self, rng: random.Random) -> None:
        """What was on its way to Valkey arrives after the lease has run out, and the worker,
        which was awake meanwhile, gets its answers. Each role is as likely as the others."""
        role = rng.choice(sorted({worker.role for worker in self._workers}))
        link = rng.choice([worker.proxy for worker in self._workers if worker.role == role])
        assert link is not None
        self.done["links frozen"] += 1
        await link.freeze(self._lease + rng.uniform(0.5, 1.5))

    async def _silence(self, rng: random.Random) -> None:
        """Connections that are open fall silent, and whoever uses them gives up; new ones work."""
        self.done["connections frozen"] += 1
        await rng.choice(self._links).silence(GIVEN_UP_S + rng.uniform(0.5, 2))

    async def _swallow(self, rng: random.Random) -> None:
        """Some process loses the reply of the next script of a kind that it runs."""
        rng.choice(self._links).swallow(self._pick_reply(rng))

    def _pick_reply(self, rng: random.Random) -> Wanted:
        if rng.random() < 0.5:
            return commits_that_keep(self._shas["commit"])
        return calls(self._shas[rng.choice(SCRIPTS)])
