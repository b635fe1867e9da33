"""One request to a server that fails on purpose, and the pieces of its answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.providers import loopback
from tests.providers.wires.wire import GOOD, Refusal, Wire

KEY = "key-0123456789abcdef"
"""In a form that no vendor's keys have: it is known as a secret only because it is the key."""
REQUEST_ID = "req_0001"
WORDS = ("Hello", " there")
TEXT = "".join(WORDS)


@dataclass(kw_only=True)
class Exchange(loopback.Exchange):
    """A request over this wire, whose model says how the answer is to fail, and where."""

    wire: Wire

    @property
    def model(self) -> str:
        if "model" in self.body:
            return str(self.body["model"])
        return self.path.rpartition("/models/")[2].partition(":")[0]

    @property
    def is_streaming(self) -> bool:
        return bool(self.body.get("stream")) or "streamGenerateContent" in self.path

    @property
    def place(self) -> str:
        return self.model.rpartition(".")[2] if self.is_streaming else "whole"

    async def begin(self) -> None:
        """All that comes before the fault."""
        if self.place == "whole":
            await self.head(200, "application/json")
            return
        await self.head(200, "text/event-stream")
        await self.send(self.wire.opening)
        if self.place == "mid":
            await self.send(self.wire.word(WORDS[0]))

    def rest(self, how: str = GOOD) -> str:
        """What completes the answer after `begin`."""
        if self.place == "whole":
            return json.dumps(self.wire.whole(TEXT, how))
        left = WORDS[1:] if self.place == "mid" else WORDS
        words = "".join(map(self.wire.word, left)) if how == GOOD else ""
        return words + self.wire.closing(how)

    async def refuse(self, refusal: Refusal, **headers: str) -> None:
        message = refusal.message.replace("{key}", KEY)
        wrong = Refusal(refusal.status, refusal.word, message, refusal.code)
        await self.head(refusal.status, "application/json", **headers)
        await self.send(json.dumps(self.wire.refusal(wrong)))
        await self.end()


async def answer_well(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(exchange.rest())
    await exchange.end()
