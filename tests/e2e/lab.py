"""A vendor for tests, as a plug-in: what its models do is in their names.

lab/fast    answers at once           lab/short   is cut at its limit
lab/slow    speaks for many seconds   lab/cut     breaks off in mid-answer
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sigil.errors import ErrorKind, ProviderError
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo

TABLE = """\
| Item | Minimum | Recommended | Remarks |
|---|---|---|---|
| Memory | 2 gigabytes | 4 gigabytes | More memory lets more conversations stay warm |
| Processor | any | two cores | Architecture-independent: everything runs everywhere |
| Address | — | — | https://downloads.example.org/releases/stable/installation-guide |
"""


class Lab:
    """Its only words are those of its models; `pause` is the time between words, in seconds."""

    name = "lab"

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, pause: float = 0.03
    ) -> None:
        self._pause = pause

    async def available(self) -> bool:
        return True

    async def list_models(self) -> list[ModelInfo]:
        return [
            ModelInfo(name, max_context_tokens=100_000)
            for name in ("fast", "slow", "cut", "short", "calm")
        ]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        asked = request.messages[-1].content.partition("\n")[2]
        words = {
            "slow": " ".join(f"word{n}" for n in range(400)),
            "cut": " ".join(f"lost{n}" for n in range(25)),
            "short": "This answer is too long to be said in",
        }.get(request.model, f"An answer to {asked}.")
        if asked == "table":
            words = TABLE
        if request.model == "calm":
            await asyncio.sleep(30 * self._pause)
        for word in words.split(" "):
            yield ChatEvent(EventType.TEXT_DELTA, text=f"{word} ")
            if request.model != "fast":
                await asyncio.sleep(self._pause)
        yield ChatEvent(EventType.USAGE, usage=Usage(1234, len(words.split())))
        if request.model == "cut":
            # It does not rest afterwards, so that the next test can call it.
            lost = ProviderError("lost", kind=ErrorKind.NETWORK, provider="lab", counts=False)
            yield ChatEvent(EventType.ERROR, error=lost)
        else:
            reason = "length" if request.model == "short" else "stop"
            yield ChatEvent(EventType.DONE, stop_reason=reason)
