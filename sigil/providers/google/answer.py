"""Puts one answer of Gemini together, piece by piece, and says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from sigil.conversation import ToolCall, Usage
from sigil.errors import ErrorKind, ProviderError
from sigil.providers.base import ChatEvent, EventType
from sigil.providers.google.request import API
from sigil.providers.shared.vendor import ToolNames, count, native

if TYPE_CHECKING:
    from google.genai import types

_MAX_TOOL_CALLS = 128
_MAX_ARGUMENT_CHARS = 1_000_000

# What `finishReason` means (the SDK's `types.FinishReason`); all others are passed on.
_STOP_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    # Of emulators; the vendor itself says STOP.
    "FUNCTION_CALL": "tool_calls",
    # Cut off at a limit of the vendor's own; another request could go on from there.
    "CONTINUATION": "length",
}
_FLAWS = {
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "ESCALATION",
            "MODEL_ARMOR",
        ),
        ErrorKind.FILTERED,
    ),
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MALFORMED_RESPONSE",
            # Of the calls in the history: another model may well take them.
            "MISSING_THOUGHT_SIGNATURE",
        ),
        ErrorKind.SERVER,
    ),
    # The account is limited for what it was used for.
    "PUP_LIMITED_DISABLED": ErrorKind.AUTH,
}
_UNSPECIFIED = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})

Flaw = Callable[[ErrorKind, str, str | None], ProviderError]
"""Makes an error of the provider out of its class, what is wrong, and the request's id."""


class Answer:
    """One answer of `model`. Feed it with `take` or `take_whole`, then `end` gives what closes it.

    The SDK checks the types of what it gives, but every field may be missing.
    """

    def __init__(self, model: str, names: ToolNames, flaw: Flaw) -> None:
        self._model = model
        self.names = names
        self._make_flaw = flaw
        self._started = False
        self._blank = False
        self._spoke = False
        self._finish_reason: str | None = None
        self._block_reason: str | None = None
        self._counted: dict[str, int] = {}
        self._parts: list[types.Part] = []
        self._calls: list[types.FunctionCall] = []
        self._id: str | None = None
        self.request_id: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the vendor has said that it has ended."""
        return self._finish_reason is not None

    def take(self, chunk: types.GenerateContentResponse) -> str:
        """Adds a chunk of a stream and returns the text in it."""
        self._started = True
        self._blank = self._blank or not chunk.model_fields_set - {"sdk_http_response"}
        self._id = self._id or chunk.response_id
        self.request_id = self.request_id or self._id
        self._take_usage(chunk.usage_metadata)
        feedback = chunk.prompt_feedback
        if feedback is not None:
            self._block_reason = _said(feedback.block_reason) or self._block_reason
        if not chunk.candidates:
            return ""
        candidate = chunk.candidates[0]
        self._finish_reason = _said(candidate.finish_reason) or self._finish_reason
        parts = candidate.content.parts if candidate.content is not None else None
        text = "".join([self._take_part(part) for part in parts or ()])
        self._spoke = self._spoke or bool(text.strip())
        return text

    def take_whole(self, response: types.GenerateContentResponse) -> str:
        """Adds an answer that came in one piece and returns its text."""
        text = self.take(response)
        if not response.candidates and self._block_reason is None:
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed: it has no candidates")
        return text

    def end(self, failure: ProviderError | None) -> list[ChatEvent]:
        """Tool calls, usage, and DONE; or usage and ERROR, if it failed or is not an answer."""
        events: list[ChatEvent] = []
        if failure is None:
            try:
                self._check()
                events += [
                    ChatEvent(EventType.TOOL_CALL, tool_call=self._called(number, call))
                    for number, call in enumerate(self._calls)
                ]
            except ProviderError as error:
                failure = error
                events = []
        if self._counted:
            events.append(ChatEvent(EventType.USAGE, usage=self._usage()))
        if failure is not None:
            events.append(ChatEvent(EventType.ERROR, error=failure))
            return events
        events.append(self._done())
        return events

    def _take_usage(self, usage: types.GenerateContentResponseUsageMetadata | None) -> None:
        """Counts grow from chunk to chunk, and not every chunk has them all."""
        if usage is None:
            return
        said = {
            "prompt": usage.prompt_token_count,
            "results": usage.tool_use_prompt_token_count,
            "cached": usage.cached_content_token_count,
            "answer": usage.candidates_token_count,
            "thoughts": usage.thoughts_token_count,
        }
        self._counted |= {name: count(value) for name, value in said.items() if value is not None}

    def _usage(self) -> Usage:
        counted = self._counted.get
        return Usage(
            input_tokens=counted("prompt", 0) + counted("results", 0),
            output_tokens=counted("answer", 0) + counted("thoughts", 0),
            cached_tokens=counted("cached", 0),
            thinking_tokens=counted("thoughts", 0),
        )

    def _take_part(self, part: types.Part) -> str:
        if part.function_call is not None:
            self._calls.append(part.function_call)
            if len(self._calls) > _MAX_TOOL_CALLS:
                raise self._flaw(ErrorKind.SERVER, "the answer has too many tool calls")
        text = part.text or ""
        last = self._parts[-1] if self._parts else None
        if last is not None and _is_plain(last) and _is_plain(part):
            last.text = f"{last.text}{text}"
        else:
            self._parts.append(part)
        return "" if part.thought else text

    def _check(self) -> None:
        if self._block_reason is not None:
            raise self._flaw(ErrorKind.FILTERED, f"the request was filtered ({self._block_reason})")
        if not self._started:
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed: it has no events")
        if self._finish_reason is None and self._blank:
            # The SDK passes over what it does not know, down to events with nothing in them.
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed: it has empty events")
        if self._finish_reason is None:
            raise self._flaw(ErrorKind.NETWORK, "the answer broke off before its end")
        kind = _FLAWS.get(self._finish_reason)
        if kind is not None:
            how = "was filtered" if kind is ErrorKind.FILTERED else "failed"
            raise self._flaw(kind, f"the answer {how} ({self._finish_reason})")
        if not self._spoke and not self._calls and self._finish_reason != "MAX_TOKENS":
            raise self._flaw(
                ErrorKind.SERVER, f"the answer is empty (it ended with {self._finish_reason!r})"
            )

    def _called(self, number: int, call: types.FunctionCall) -> ToolCall:
        arguments = call.args or {}
        if not call.name or len(json.dumps(arguments)) > _MAX_ARGUMENT_CHARS:
            raise self._flaw(ErrorKind.SERVER, "the model's tool call is malformed")
        # Older models give their calls no ids.
        made_up = f"call_{self._id or uuid4().hex}_{number}"
        return ToolCall(call.id or made_up, self.names.own(call.name), arguments)

    def _flaw(self, kind: ErrorKind, what: str) -> ProviderError:
        return self._make_flaw(kind, what, self.request_id)

    def _done(self) -> ChatEvent:
        reason = self._finish_reason or ""
        stop_reason = _STOP_REASONS.get(reason, reason)
        if not self._calls:
            return ChatEvent(EventType.DONE, stop_reason=stop_reason)
        from google.genai import types

        content = types.Content(role="model", parts=self._parts)
        form = content.model_dump(mode="json", by_alias=True, exclude_none=True)
        return ChatEvent(
            EventType.DONE,
            stop_reason="tool_calls" if stop_reason == "stop" else stop_reason,
            native=native(API, self._model, form),
        )


def _said(reason: types.FinishReason | types.BlockedReason | None) -> str | None:
    """The name of a reason, which may be one that the SDK does not know yet."""
    name = None if reason is None else str(reason.value)
    return None if name in _UNSPECIFIED else name


def _is_plain(part: types.Part) -> bool:
    """Nothing but text: such parts are one text, while what is signed has to stay as it came."""
    return part.model_fields_set == {"text"}
