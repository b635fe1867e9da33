"""Providers for tests, without a network. They are shipped: import them from `sigil.testing`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from sigil.errors import ErrorKind, ProviderError
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo

ScriptEntry = str | Exception | Sequence[ChatEvent]
"""One answer of a `ScriptedProvider`:

- a text: streamed in one piece, with a usage of one token in and one token a word out;
- a `ProviderError`: the ERROR event of that error;
- any other exception: raised out of `chat`, as a broken provider would;
- events: sent as they are; without DONE or ERROR, the stream breaks off.
"""

_MODEL = ModelInfo(
    "model",
    tools=True,
    vision=True,
    documents=True,
    max_context_tokens=100_000,
    max_output_tokens=10_000,
)


class FakeProvider:
    """Always gives the same answer. `is_available` may be changed at any time, and `requests`
    keeps what it was asked."""

    def __init__(self, name: str, available: bool = True, reply: str = "ok") -> None:
        self.name = name
        self.is_available = available
        self.reply = reply
        self.requests: list[ChatRequest] = []

    async def available(self) -> bool:
        """What `is_available` says."""
        return self.is_available

    async def list_models(self) -> list[ModelInfo]:
        """One model, `model`, which can do everything."""
        return [_MODEL]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Gives the reply under any model's name."""
        self.requests.append(request)
        for event in _answer_with(self.reply):
            yield event


class ScriptedProvider:
    """Plays one entry of its script per call, in the order of the calls; see `ScriptEntry`.

    A call after the last entry is an ERROR of kind `unavailable`. `requests` keeps what it was
    asked.
    """

    def __init__(self, script: Iterable[ScriptEntry], name: str = "scripted") -> None:
        self.name = name
        self._script = iter(script)
        self.requests: list[ChatRequest] = []

    async def available(self) -> bool:
        """Always."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """One model, `model`, which can do everything."""
        return [_MODEL]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Plays the next entry of the script."""
        self.requests.append(request)
        entry = next(self._script, None)
        if entry is None:
            entry = ProviderError(
                f"the script of {self.name} has no entry for call {len(self.requests)}.",
                kind=ErrorKind.UNAVAILABLE,
                provider=self.name,
            )
        if isinstance(entry, ProviderError):
            entry = [ChatEvent(EventType.ERROR, error=entry)]
        if isinstance(entry, Exception):
            raise entry
        for event in _answer_with(entry) if isinstance(entry, str) else entry:
            yield event


def _answer_with(text: str) -> list[ChatEvent]:
    return [
        ChatEvent(EventType.TEXT_DELTA, text=text),
        ChatEvent(EventType.USAGE, usage=Usage(1, len(text.split()))),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]
