"""What the answers of OpenAI's two APIs have in common: tool calls, usage, and their last event.

Servers are trusted as little as possible: what comes is JSON that nobody has checked.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

from sigil.errors import ErrorKind
from sigil.messages.conversation import ToolCall, Usage
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.shared.answer import VendorAnswer
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import ErrorBody
from sigil.providers.shared.json_fields import Json, parse_json, read_object
from sigil.providers.shared.tokens import read_token_count
from sigil.providers.shared.tools import MAX_ARGUMENT_CHARS, MAX_TOOL_CALLS, ToolNames

_LAST_EVENT = "[DONE]"
_FILTERED = "content_filter"
_MAX_NAME_CHARS = 512


@dataclass(slots=True)
class PartialCall:
    """The part of a tool call that has arrived so far. `more` holds what only its API knows."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    more: Json = field(default_factory=dict)


class UsageFields(NamedTuple):
    """What an API calls the parts of a usage."""

    input: str
    output: str
    input_details: str
    output_details: str


class OpenAIAnswer(VendorAnswer[str, bytes]):
    """One answer of either API."""

    def __init__(
        self, model: str, names: ToolNames, endpoint: Endpoint, options: OpenAIOptions
    ) -> None:
        super().__init__(model, names, endpoint)
        self._options = options
        self._usage: Usage | None = None
        self._calls: list[PartialCall] = []

    def take_event(self, event: str) -> str:
        if event.startswith(_LAST_EVENT):
            self._over = True
            return ""
        fields = json.loads(event)
        if not isinstance(fields, dict):
            raise self._flaw("the answer is malformed")
        if fields.get("error"):
            raise ErrorBody(fields)
        self._started = True
        return self._take_fields(fields)

    def take_whole(self, answer: bytes) -> str:
        fields = json.loads(answer)
        if not isinstance(fields, dict):
            raise self._flaw("the answer is malformed")
        self._started = True
        return self._take_whole_fields(fields)

    @abstractmethod
    def _take_fields(self, fields: Json) -> str:
        """Adds an event of a stream and returns the text in it."""

    @abstractmethod
    def _take_whole_fields(self, fields: Json) -> str:
        """Adds an answer that came in one piece and returns its text."""

    def _check_outcome(self) -> None:
        if self._reason == _FILTERED:
            raise self._flaw("the answer was filtered", ErrorKind.FILTERED)

    def _check_call_size(self, call: PartialCall) -> None:
        too_long = len(call.arguments) > MAX_ARGUMENT_CHARS
        if too_long or len(self._calls) > MAX_TOOL_CALLS:
            raise self._flaw("the answer's tool calls are too long")

    def _read_tool_calls(self) -> list[ToolCall]:
        """Drops the calls that were cut off at the answer's limit."""
        calls: dict[str, ToolCall] = {}
        complete: list[PartialCall] = []
        for partial in self._calls:
            # Some servers give their calls no ids, or all the same.
            if not partial.id or partial.id in calls:
                partial.id = f"call_{uuid4().hex[:24]}"
            call = self._read_tool_call(partial)
            if call is not None:
                calls[partial.id] = call
                complete.append(partial)
            elif self._reason not in self.cut_off:
                raise self._flaw("the model's tool call is malformed")
        self._calls = complete
        return list(calls.values())

    def _read_tool_call(self, call: PartialCall) -> ToolCall | None:
        try:
            arguments = parse_json(call.arguments or "{}")
        except (ValueError, RecursionError):
            return None
        too_long = max(len(call.name), len(call.id)) > _MAX_NAME_CHARS
        if not call.name or too_long or not isinstance(arguments, dict):
            return None
        return ToolCall(call.id, self.names.from_wire(call.name), arguments)

    def _read_usage(self) -> Usage | None:
        return self._usage


def read_usage(fields: Json, names: UsageFields) -> Usage:
    """The usage of an answer."""
    input_details = read_object(fields.get(names.input_details))
    output_details = read_object(fields.get(names.output_details))
    sent = read_token_count(fields.get(names.input))
    # Some servers (xAI's, Google's) count thoughts only in the total.
    total = read_token_count(fields.get("total_tokens"))
    output = max(read_token_count(fields.get(names.output)), total - sent)
    cached = min(read_token_count(input_details.get("cached_tokens")), sent)
    cache_writes = read_token_count(input_details.get("cache_write_tokens"))
    thinking = read_token_count(output_details.get("reasoning_tokens"))
    return Usage(
        input_tokens=sent,
        output_tokens=output,
        cached_tokens=cached,
        cache_write_tokens=min(cache_writes, sent - cached),
        thinking_tokens=min(thinking, output),
    )
