"""What a model vendor looks like to the core: a request in, a stream of events out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from sigil.errors import ProviderError


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model may call; `parameters` is a JSON Schema object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; `arguments` are parsed JSON."""

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation as the model sees it.

    An assistant message may carry `tool_calls`; a `tool` message answers the call
    named by `tool_call_id`.
    """

    role: Literal["user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor counted them. `cached_tokens` is a part of `input_tokens`,
    `thinking_tokens` a part of `output_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """What counts against a token budget."""
        return self.input_tokens + self.output_tokens


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


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a model. `max_tokens` bounds the answer."""

    model: str
    messages: tuple[Message, ...] | list[Message]
    system_prompt: str | None = None
    tools: tuple[ToolDefinition, ...] = ()
    max_tokens: int = 1024
    temperature: float | None = None
    stream: bool = True


class EventType(StrEnum):
    """The kinds of `ChatEvent`. Exactly one DONE or ERROR ends a stream.

    USAGE comes at most once per call of a vendor, before the end. RESTART comes only from a
    chain of models (`sigil.providers.failover`): a candidate broke off after it had spoken and
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
    vendor may say is passed on as it is.
    """

    type: EventType
    text: str = ""
    tool_call: ToolCall | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    error: ProviderError | None = None


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
