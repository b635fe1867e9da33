"""What the answers of OpenAI's two APIs have in common: their end, and what can be wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sigil.conversation import Native, ToolCall, Usage
from sigil.errors import ErrorKind, ProviderError
from sigil.providers.base import ChatEvent, EventType
from sigil.providers.shared.vendor import ToolNames, count, parsed

_MAX_TOOL_CALLS = 128
_MAX_ARGUMENT_CHARS = 1_000_000
_MAX_NAME_CHARS = 512
_FILTERED, _CUT_OFF = "content_filter", "length"

Json = dict[str, Any]
Flaw = Callable[[ErrorKind, str, str | None], ProviderError]
"""Makes an error of the provider out of its class, what is wrong, and the request's id."""


@dataclass(slots=True)
class Call:
    """A tool call as far as it has come. `more` is what its API says of it besides."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    more: Json = field(default_factory=dict)


class Answer(ABC):
    """One answer. Feed it with `take` or `take_whole`, then `end` gives what closes it.

    Servers are taken at their word as little as possible: what comes is JSON that nobody has
    checked, so every field may be missing or be anything.
    """

    complete = False
    """Nothing more is to come, whatever the connection does."""

    def __init__(self, model: str, names: ToolNames, flaw: Flaw) -> None:
        self._model = model
        self.names = names
        self.request_id: str | None = None
        self._make_flaw = flaw
        self._started = False
        self._spoke = False
        self._reason: str | None = None
        self._usage: Usage | None = None
        self._calls: list[Call] = []

    @abstractmethod
    def take(self, event: object) -> str:
        """Adds an event of a stream and returns the text in it."""

    @abstractmethod
    def take_whole(self, answer: object) -> str:
        """Adds an answer that came in one piece and returns its text."""

    @abstractmethod
    def _native(self) -> Native | None:
        """The answer in the vendor's form, its tool calls being complete."""

    def end(self, failure: ProviderError | None) -> list[ChatEvent]:
        """Tool calls, usage, and DONE; or usage and ERROR, if it failed or is not an answer."""
        events: list[ChatEvent] = []
        if failure is None:
            try:
                self._check()
                events += [ChatEvent(EventType.TOOL_CALL, tool_call=c) for c in self._called()]
            except ProviderError as error:
                failure = error
        if self._usage is not None:
            events.append(ChatEvent(EventType.USAGE, usage=self._usage))
        if failure is not None:
            events.append(ChatEvent(EventType.ERROR, error=failure))
            return events
        # Some compatible servers say "stop" when they mean "tool_calls".
        reason = "tool_calls" if self._calls and self._reason == "stop" else self._reason
        native = self._native() if self._calls else None
        events.append(ChatEvent(EventType.DONE, stop_reason=reason, native=native))
        return events

    def _start(self, event: object) -> Json:
        if not isinstance(event, dict):
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed")
        self._started = True
        return event

    def _flaw(self, kind: ErrorKind, what: str) -> ProviderError:
        return self._make_flaw(kind, what, self.request_id)

    def _bound(self, call: Call) -> None:
        too_long = len(call.arguments) > _MAX_ARGUMENT_CHARS
        if too_long or len(self._calls) > _MAX_TOOL_CALLS:
            raise self._flaw(ErrorKind.SERVER, "the answer's tool calls are too long")

    def _check(self) -> None:
        if self._reason == _FILTERED:
            raise self._flaw(ErrorKind.FILTERED, "the answer was filtered")
        if not self._started:
            # The SDK passes over lines that are no events; what is left then is nothing at all.
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed: it has no events")
        if self._reason is None:
            raise self._flaw(ErrorKind.NETWORK, "the answer broke off before its end")
        if not self._spoke and not self._calls and self._reason != _CUT_OFF:
            raise self._flaw(
                ErrorKind.SERVER, f"the answer is empty (it ended with {self._reason!r})"
            )

    def _called(self) -> list[ToolCall]:
        """The tool calls, but for those that the answer's bound cut off."""
        found: dict[str, ToolCall] = {}
        kept: list[Call] = []
        for call in self._calls:
            # Some servers give their calls no ids, or all the same.
            if not call.id or call.id in found:
                call.id = f"call_{uuid4().hex[:24]}"
            parsed = self._parsed(call)
            if parsed is not None:
                found[call.id] = parsed
                kept.append(call)
            elif self._reason != _CUT_OFF:
                raise self._flaw(ErrorKind.SERVER, "the model's tool call is malformed")
        self._calls = kept
        return list(found.values())

    def _parsed(self, call: Call) -> ToolCall | None:
        try:
            arguments = parsed(call.arguments or "{}")
        except (ValueError, RecursionError):
            return None
        long = max(len(call.name), len(call.id)) > _MAX_NAME_CHARS
        if not call.name or long or not isinstance(arguments, dict):
            return None
        return ToolCall(call.id, self.names.own(call.name), arguments)


def counted(
    said: Json, *, prompt: str, completion: str, prompt_details: str, completion_details: str
) -> Usage:
    """The usage, by the API's names for its fields."""
    of_prompt = fields_of(said.get(prompt_details))
    of_completion = fields_of(said.get(completion_details))
    given = count(said.get(prompt))
    # Some servers (xAI's, Google's) count thoughts in the total only.
    made = max(count(said.get(completion)), count(said.get("total_tokens")) - given)
    cached = min(count(of_prompt.get("cached_tokens")), given)
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cached_tokens=cached,
        cache_write_tokens=min(count(of_prompt.get("cache_write_tokens")), given - cached),
        thinking_tokens=min(count(of_completion.get("reasoning_tokens")), made),
    )


def fields_of(value: object) -> Json:
    """The fields of a JSON object; none of what is something else."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The elements of a JSON array; none of what is something else."""
    return value if isinstance(value, list) else []


def text_of(value: object) -> str:
    """A JSON string; an empty one for what is something else."""
    return value if isinstance(value, str) else ""
