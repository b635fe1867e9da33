"""What a model replies: read off its stream of events, into the draft that people watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sigil.errors import SigilError
from sigil.messages.conversation import Usage, bound_tokens
from sigil.messages.exchange import AnswerDetails
from sigil.providers.base import ChatRequest, EventType, Provider
from sigil.providers.chain.adapt import estimate_tokens
from sigil.providers.chain.record import AttemptRecord

if TYPE_CHECKING:
    from sigil.outbound.presence import Draft


@dataclass(slots=True)
class Reply:
    """What has come of a reply so far; complete unless one of the other fields says otherwise.

    `notes` are sentences for the person that stand below the model's words.

    It is filled while the model speaks, so that what a stopped model has said is kept.
    """

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    error: SigilError | None = None
    is_stopped: bool = False
    is_late: bool = False
    attempts: list[AttemptRecord] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def broke_off(self) -> tuple[str, ...]:
        """The models whose answers broke off, each once."""
        return tuple(dict.fromkeys(each.model for each in self.attempts if each.broke_off))

    def describe(self) -> AnswerDetails | None:
        """How the answer came about; None if no model was called."""
        if not self.attempts:
            return None
        last = self.attempts[-1]
        costs = [each.cost for each in self.attempts]
        return AnswerDetails(
            model=last.model,
            seconds=round(self.seconds, 1),
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            cost=None if None in costs else sum(cost or 0 for cost in costs),
            broke_off=self.broke_off,
            cut_at=last.cut_at,
            stopped=self.is_stopped,
        )


async def read_reply(provider: Provider, request: ChatRequest, draft: Draft, reply: Reply) -> None:
    """Calls the model and fills `reply` from its events."""
    stream = provider.chat(request)
    try:
        async for event in stream:
            if event.type is EventType.TEXT_DELTA:
                reply.text += event.text
                draft.add(event.text)
            elif event.type is EventType.RESTART:
                reply.text = ""
                draft.restart(reply.broke_off)
            elif event.type is EventType.USAGE and event.usage is not None:
                reply.usage = _add_usage(reply.usage, event.usage)
            elif event.type is EventType.ERROR:
                reply.error = event.error
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def add_estimates(reply: Reply, request: ChatRequest) -> None:
    """Adds the likely tokens of calls that their vendor did not count, because they were stopped
    or broke off, or because it never counts. Budgets of tokens would not hold otherwise."""
    for attempt in reply.attempts:
        if not attempt.counted:
            reply.usage = _add_usage(reply.usage, Usage(*estimate_tokens(request, attempt.said)))


def _add_usage(a: Usage, b: Usage) -> Usage:
    # A vendor's count is from outside; one beyond reason must not cost the turn.
    def add(left: int, right: int) -> int:
        return left + bound_tokens(right)

    return Usage(
        add(a.input_tokens, b.input_tokens),
        add(a.output_tokens, b.output_tokens),
        add(a.cached_tokens, b.cached_tokens),
        add(a.thinking_tokens, b.thinking_tokens),
        add(a.cache_write_tokens, b.cache_write_tokens),
    )
