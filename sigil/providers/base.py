"""What a model vendor looks like to the core: a request in, a stream of events out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, cast, runtime_checkable

from sigil.errors import ProviderError
from sigil.messages.conversation import Message, Native, ToolCall, ToolDefinition, Usage


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model's id (without the provider's name) and what it can do."""

    id: str
    tools: bool = False
    vision: bool = False
    streaming: bool = True
    thinking: bool = False
    max_context_tokens: int = 8192
    max_output_tokens: int = 4096
    documents: bool = False  # takes PDFs as they are


def _ignore() -> None:
    """The default for `ChatRequest.note_activity`: does nothing."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a model. `max_tokens` bounds the answer, thoughts included.

    `session` is an opaque name of the conversation: calls of one session keep to one key, so
    that the vendor's prompt cache serves them. `user` is an opaque name of the person. Both
    reach a vendor only where its configuration says so.

    A provider calls `note_activity` whenever the vendor sends something that does not become an
    event, such as a thought. This restarts the limit on silence, since a model that thinks is not
    stuck.
    """

    model: str
    messages: tuple[Message, ...] | list[Message]
    system_prompt: str | None = None
    tools: tuple[ToolDefinition, ...] = ()
    max_tokens: int = 1024
    temperature: float | None = None
    stream: bool = True
    session: str | None = None
    user: str | None = None
    note_activity: Callable[[], None] = field(default=_ignore, repr=False, compare=False)


class EventType(StrEnum):
    """The kinds of `ChatEvent`. Exactly one DONE or ERROR ends a stream.

    USAGE comes at most once per call of a vendor, before the end. RESTART comes only from a
    chain of models (`sigil.providers.chain`): a candidate broke off in mid-answer and the next
    attempt starts over, so the text and tool calls so far are void. The usage so far is not,
    since it was spent.
    """

    TEXT_DELTA = "text_delta"
    TOOL_CALL = "tool_call"
    USAGE = "usage"
    DONE = "done"
    ERROR = "error"
    RESTART = "restart"


SPEECH = frozenset({EventType.TEXT_DELTA, EventType.TOOL_CALL})
"""The events that are part of an answer, and so are void after a RESTART."""


class ChatEvent(NamedTuple):
    """One event of an answer; its `type` decides which field is set.

    There is one for nearly every token, and making a frozen dataclass costs eight times as much.

    `stop_reason` is `stop`, `length` (cut off at `max_tokens`) or `tool_calls`; anything else
    that a vendor says is passed on unchanged. DONE carries `native` if the answer has tool calls.
    """

    type: EventType
    text: str = ""
    tool_call: ToolCall | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    error: ProviderError | None = None
    native: Native | None = None


@runtime_checkable
class Provider(Protocol):
    """A model vendor. `chat` reports a failure as an ERROR event and never raises it."""

    name: str

    async def available(self) -> bool:
        """Whether it can be called, from local knowledge only; never asks the vendor."""
        ...

    async def list_models(self) -> list[ModelInfo]:
        """Answers at once from a built-in catalogue, without a network."""
        ...

    def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Streams one answer. Closing the iterator ends the call."""
        ...


@runtime_checkable
class Catalogued(Protocol):
    """A provider that knows models beyond those it lists, such as dated snapshots."""

    def model_info(self, model: str) -> ModelInfo:
        """What a model can do. An unknown model is assumed to do little."""
        ...

    async def refresh_models(self) -> list[ModelInfo]:
        """Asks the vendor which models there are, and keeps the answer for `list_models` and
        `model_info`. Raises `ProviderError`, and then changes nothing."""
        ...


async def find_model_info(provider: Provider, model: str) -> ModelInfo:
    """What a provider's model can do, as far as the provider knows."""
    # Not `isinstance(provider, Catalogued)`, which compares every member, at each call.
    if hasattr(provider, "model_info"):
        return cast("Catalogued", provider).model_info(model)
    matches = (info for info in await provider.list_models() if info.id == model)
    return next(matches, ModelInfo(model))
