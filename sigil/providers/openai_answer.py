"""Puts one answer of chat completions together, piece by piece, and says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sigil.errors import ErrorKind, ProviderError
from sigil.providers.base import ChatEvent, EventType, ToolCall, Usage

if TYPE_CHECKING:
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

_MAX_TOOL_CALLS = 128
_MAX_ARGUMENT_CHARS = 1_000_000


@dataclass(slots=True)
class _Call:
    id: str
    name: str = ""
    arguments: str = ""


class Answer:
    """One answer. Feed it with `take` or `take_whole`, then `end` gives what closes it.

    Servers are taken at their word as little as possible: the SDK checks no types, so every
    field may be missing.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._started = False
        self._spoke = False
        self._calls: list[_Call] = []
        self._call_at: dict[int, _Call] = {}
        self._id = ""
        self.request_id: str | None = None

    def take(self, chunk: ChatCompletionChunk) -> str:
        """Adds a chunk of a stream and returns the text in it."""
        self._started = True
        self._id = self._id or str(getattr(chunk, "id", "") or "")
        self._take_usage(getattr(chunk, "usage", None))
        choices = getattr(chunk, "choices", None)
        if not choices:
            return ""
        self._finish_reason = choices[0].finish_reason or self._finish_reason
        delta = choices[0].delta
        return "" if delta is None else self._take_message(delta)

    def take_whole(self, completion: ChatCompletion) -> str:
        """Adds an answer that came in one piece and returns its text."""
        self.request_id = getattr(completion, "_request_id", None)
        choices = getattr(completion, "choices", None)
        if not choices or choices[0].message is None:
            raise self._flaw("the answer is malformed", ErrorKind.SERVER)
        self._started = True
        self._id = str(completion.id or "")
        self._take_usage(completion.usage)
        self._finish_reason = choices[0].finish_reason
        return self._take_message(choices[0].message)

    def end(self, failure: ProviderError | None) -> list[ChatEvent]:
        """Tool calls, usage, and DONE; or usage and ERROR, if it failed or is not an answer."""
        events: list[ChatEvent] = []
        if failure is None:
            try:
                self._check()
                events += [
                    ChatEvent(EventType.TOOL_CALL, tool_call=self._parsed(number, call))
                    for number, call in enumerate(self._calls)
                ]
            except ProviderError as error:
                failure = error
                events = []
        if self._usage is not None:
            events.append(ChatEvent(EventType.USAGE, usage=self._usage))
        if failure is not None:
            events.append(ChatEvent(EventType.ERROR, error=failure))
            return events
        # Some compatible servers say "stop" when they mean "tool_calls".
        reason = self._finish_reason
        if self._calls and reason == "stop":
            reason = "tool_calls"
        events.append(ChatEvent(EventType.DONE, stop_reason=reason))
        return events

    def _take_usage(self, usage: CompletionUsage | None) -> None:
        if usage is None:
            return
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        self._usage = Usage(
            input_tokens=usage.prompt_tokens or 0,
            output_tokens=usage.completion_tokens or 0,
            cached_tokens=(prompt.cached_tokens or 0) if prompt else 0,
            thinking_tokens=(completion.reasoning_tokens or 0) if completion else 0,
        )

    def _take_message(self, message: Any) -> str:
        """Of a chunk's delta or a whole message, which differ in their tool calls' `index`."""
        if message.tool_calls:
            self._take_calls(message.tool_calls)
        # A refusal is what the model has to say.
        text = message.content or getattr(message, "refusal", None) or ""
        if not isinstance(text, str):
            raise self._flaw("the answer's content is not text", ErrorKind.SERVER)
        self._spoke = self._spoke or bool(text.strip())
        return text

    def _take_calls(self, deltas: Iterable[Any]) -> None:
        for position, delta in enumerate(deltas):
            index = getattr(delta, "index", None)
            index = position if index is None else index
            call = self._call_at.get(index)
            # Some compatible servers give every call the index 0.
            if call is None or (delta.id and call.id and delta.id != call.id):
                call = self._call_at[index] = _Call("")
                self._calls.append(call)
            call.id = call.id or delta.id or ""
            if delta.function is not None:
                call.name = call.name or delta.function.name or ""
                call.arguments += delta.function.arguments or ""
            too_long = len(call.arguments) > _MAX_ARGUMENT_CHARS
            if too_long or len(self._calls) > _MAX_TOOL_CALLS:
                raise self._flaw("the answer's tool calls are too long", ErrorKind.SERVER)

    def _check(self) -> None:
        if self._finish_reason == "content_filter":
            raise self._flaw("the answer was filtered", ErrorKind.FILTERED)
        if not self._started:
            # The SDK passes over lines that are no events; what is left then is nothing at all.
            raise self._flaw("the answer is malformed: it has no events", ErrorKind.SERVER)
        if self._finish_reason is None:
            raise self._flaw("the answer broke off before its end", ErrorKind.NETWORK)
        if not self._spoke and not self._calls:
            raise self._flaw(
                f"the answer is empty (it ended with {self._finish_reason!r})", ErrorKind.SERVER
            )

    def _parsed(self, number: int, call: _Call) -> ToolCall:
        try:
            arguments = json.loads(call.arguments or "{}")
        except ValueError:
            arguments = None
        if not call.name or not isinstance(arguments, dict):
            raise self._flaw("the model's tool call is malformed", ErrorKind.SERVER)
        return ToolCall(call.id or f"call_{self._id}_{number}", call.name, arguments)

    def _flaw(self, what: str, kind: ErrorKind) -> ProviderError:
        return ProviderError(
            f"{self._provider}: {what}.",
            kind=kind,
            provider=self._provider,
            request_id=self.request_id,
        )
