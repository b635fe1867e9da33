"""What a model vendor looks like to the core: a request in, a stream of events out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from sigil.errors import ErrorKind, ProviderError


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
class Image:
    """A picture for the model: an `https:` address that the vendor fetches, or a `data:` URL."""

    url: str
    mime_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Native:
    """An answer with tool calls in its vendor's own form, as JSON.

    It holds what the neutral form cannot, such as signed thoughts. Only the same API and the
    same model are given it back; for all others the neutral form stands.
    """

    api: str
    model: str
    content: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation as the model sees it.

    A user's message may carry `images`. An assistant message may carry `tool_calls`, and
    `native`, which says the same as the rest of it; a `tool` message answers the call named by
    `tool_call_id`.
    """

    role: Literal["user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[Image, ...] = ()
    native: Native | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor counted them. `cached_tokens` (read from the vendor's prompt cache)
    and `cache_write_tokens` (written to it) are parts of `input_tokens`, `thinking_tokens` is a
    part of `output_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    cache_write_tokens: int = 0

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


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one model, `seconds` long, at `cost` micro-dollars, with the key of this
    fingerprint. Not answered and no error: it was cancelled. Not `counted`: the vendor did not
    say what was used, which is then not in `usage`; `said` bytes of an answer came."""

    model: str
    answered: bool
    seconds: float
    usage: Usage
    error: ProviderError | None = None
    cost: int = 0
    key: str = ""
    said: int = 0
    counted: bool = True

    @property
    def error_kind(self) -> ErrorKind | None:
        """The class of the failure, if it failed."""
        return None if self.error is None else self.error.kind


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one call: `amount` in micro-dollars, and the answer's bound that it
    pays for. An empty `id`: nothing had to be set aside.

    `input_tokens` bounds what the request can be counted as. `unseen`: the answer may have cost
    more than can be told from what came of it (thoughts, calls of tools that are half written).
    """

    id: str
    amount: int
    max_tokens: int
    input_tokens: int = 0
    unseen: bool = False


class Meter(Protocol):
    """What one turn may spend. `model` is a full name, `provider/model`."""

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        """Sets aside what the call can cost at worst, with a shorter answer if need be. Raises
        `BudgetExceeded`, or `PriceUnknown` where dollars are limited."""
        ...

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int:
        """Replaces the hold by what the call cost, in micro-dollars, and returns that.

        `usage` is what the vendor counted, None if it did not say; `said` counts the bytes of
        the answer that came. Of a call that is not `complete` the dearest is assumed where the
        vendor did not say. A call that was never billed has a usage of nothing.
        """
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
