"""What a model vendor looks like to the core: a request in, a stream of events out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from sigil.conversation import Message, Native, ToolCall, ToolDefinition, Usage
from sigil.errors import ProviderError


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


def _nobody() -> None:
    """Whoever does not ask needs not be told."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a model. `max_tokens` bounds the answer, thoughts included.

    `session` is an opaque name of the conversation: calls of one session keep to one key, so
    that the vendor's prompt cache serves them. `user` is an opaque name of the person. Both
    reach a vendor only where its configuration says so.

    `heard` is called by a provider for what the vendor sends that is no event here, such as a
    thought: a model that thinks is not silent.
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
    heard: Callable[[], None] = field(default=_nobody, repr=False, compare=False)


class EventType(StrEnum):
    """The kinds of `ChatEvent`. Exactly one DONE or ERROR ends a stream.

    USAGE comes at most once per call of a vendor, before the end. RESTART comes only from a
    chain of models (`sigil.providers.chain`): a candidate broke off after it had spoken and
    the next one starts over, so the text and tool calls seen so far are void. Usage is not:
    it was spent.
    """

    TEXT_DELTA = "text_delta"
    TOOL_CALL = "tool_call"
    USAGE = "usage"
    DONE = "done"
    ERROR = "error"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class ChatEvent:
    """One event of an answer; which field is set follows from `type`.

    `stop_reason` is `stop`, `length` (cut off at `max_tokens`) or `tool_calls`; what else a
    vendor may say is passed on as it is. DONE carries `native` if the answer has tool calls.
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
    """A model vendor. A failure is an ERROR event, never an exception out of `chat`."""

    name: str

    async def available(self) -> bool:
        """Local knowledge (configured, not cooling down); never a ping."""
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
        """What a model can do; of an unknown one little is expected."""
        ...

    async def refresh_models(self) -> list[ModelInfo]:
        """Asks the vendor which models there are and keeps what it says, for `list_models` and
        `model_info`. Raises `ProviderError`, and then nothing has changed."""
        ...


async def info_of(provider: Provider, model: str) -> ModelInfo:
    """What a provider's model can do, as far as the provider knows."""
    if isinstance(provider, Catalogued):
        return provider.model_info(model)
    known = (info for info in await provider.list_models() if info.id == model)
    return next(known, ModelInfo(model))
