"""People who write, and platforms that deliver some of it twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from sigil.errors import StoreError
from sigil.messages.exchange import InboundMessage
from tests.chaos.peers import BLAST, SLOW

if TYPE_CHECKING:
    from sigil.channels.base import Acceptance
    from sigil.gateway import Gateway

TWICE, SLOW_SHARE = 0.2, 0.0025
RETRY_S = 0.2
LATEST_REPEAT_S = 3.0


class Traffic:
    """Sends `messages` over `sessions` at a steady rate for `seconds`. So many `blasts`
    among the first ones end each process that answers them.

    `accepted` holds, for each session, the texts in the order of acceptance: who writes waits
    until one message is taken before they send the next.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        seed: int,
        messages: int,
        sessions: int,
        seconds: float,
        blasts: int = 0,
    ) -> None:
        self.accepted: dict[str, list[str]] = defaultdict(list)
        self.repeats = 0
        self.retries = 0
        self.ended = 0.0
        self._gateway = gateway
        self._seed = seed
        rng = random.Random(f"{seed}:traffic")
        self._plan: dict[str, list[float]] = {f"s{n:03}": [] for n in range(sessions)}
        for number in range(messages):
            at = rng.uniform(0, seconds)
            self._plan[f"s{number % sessions:03}"].append(at)
        early = max(1, messages // sessions // 4)
        self._blasts = {
            session: rng.randrange(early) for session in rng.sample(list(self._plan), blasts)
        }

    async def run(self) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for session, times in self._plan.items():
                group.create_task(self._write(group, session, sorted(times), began))
        self.ended = time.monotonic()

    async def _write(
        self, group: asyncio.TaskGroup, session: str, times: list[float], began: float
    ) -> None:
        # One for each session, since their tasks take turns as the moment has it.
        rng = random.Random(f"{self._seed}:{session}")
        for number, at in enumerate(times):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            how = f" {SLOW}" if rng.random() < SLOW_SHARE else ""
            if self._blasts.get(session) == number:
                how = f" {BLAST}"
            text = f"{session} {number:05}{how}"
            message = InboundMessage("chaos", session, f"{session}-{number}", session, text)
            await self._deliver(message)
            self.accepted[session].append(text)
            if rng.random() < TWICE:
                self.repeats += 1
                group.create_task(self._again(message, rng.uniform(0, LATEST_REPEAT_S)))

    async def _again(self, message: InboundMessage, after: float) -> None:
        await asyncio.sleep(after)
        await self._deliver(message)

    async def _deliver(self, message: InboundMessage) -> Acceptance:
        """As a platform does: what was not acknowledged is delivered again."""
        while True:
            try:
                return await self._gateway.receive(message)
            except StoreError:
                self.retries += 1
                await asyncio.sleep(RETRY_S)
