"""Reads one answer off a stream of events, into the draft that people watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sigil.conversation import Usage
from sigil.errors import SigilError
from sigil.providers.base import ChatRequest, EventType, Provider
from sigil.providers.chain.adapt import estimate_tokens
from sigil.providers.chain.record import AttemptRecord

if TYPE_CHECKING:
    from sigil.outbound.presence import Draft

MOST_TOKENS = 1_000_000_000


@dataclass(slots=True)
class Answer:
    """What has come of an answer so far; complete unless `error` or `note` says otherwise."""

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    error: SigilError | None = None
    note: str = ""
    attempts: list[AttemptRecord] = field(default_factory=list)


async def ask(provider: Provider, request: ChatRequest, draft: Draft, answer: Answer) -> None:
    """Fills `answer` while the model speaks, so that a stopped one is kept as far as it came."""
    stream = provider.chat(request)
    try:
        async for event in stream:
            if event.type is EventType.TEXT_DELTA:
                answer.text += event.text
                draft.add(event.text)
            elif event.type is EventType.RESTART:
                answer.text = ""
                draft.restart()
            elif event.type is EventType.USAGE and event.usage is not None:
                answer.usage = _sum(answer.usage, event.usage)
            elif event.type is EventType.ERROR:
                answer.error = event.error
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def add_uncounted(answer: Answer, request: ChatRequest) -> None:
    """Adds the likely tokens of calls that their vendor did not count, since they were stopped or
    broke off, or because it never counts: budgets of tokens would not hold otherwise."""
    for attempt in answer.attempts:
        if not attempt.counted:
            answer.usage = _sum(answer.usage, Usage(*estimate_tokens(request, attempt.said)))


def _sum(a: Usage, b: Usage) -> Usage:
    return Usage(
        _bounded(a.input_tokens + b.input_tokens),
        _bounded(a.output_tokens + b.output_tokens),
        _bounded(a.cached_tokens + b.cached_tokens),
        _bounded(a.thinking_tokens + b.thinking_tokens),
        _bounded(a.cache_write_tokens + b.cache_write_tokens),
    )


def _bounded(tokens: int) -> int:
    """A vendor's count is from outside; one beyond reason must not cost the turn."""
    return max(0, min(tokens, MOST_TOKENS))
