"""One of Gemini's answers: https://ai.google.dev/api/generate-content

It comes in chunks of parts: text, thoughts, calls. The SDK reads them and checks the types of what
it knows, but every field may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from sigil.errors import ErrorKind
from sigil.messages.conversation import Native, ToolCall, Usage
from sigil.providers.google.request import API
from sigil.providers.shared.answer import VendorAnswer
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.native import encode_native
from sigil.providers.shared.tokens import read_token_count
from sigil.providers.shared.tools import MAX_ARGUMENT_CHARS, MAX_TOOL_CALLS, ToolNames

if TYPE_CHECKING:
    from google.genai import types

# What `finishReason` says of an answer that failed (the SDK's `types.FinishReason`).
_FAILURES = {
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
            # It is about the calls in the history. Another model may well take them.
            "MISSING_THOUGHT_SIGNATURE",
        ),
        ErrorKind.SERVER,
    ),
    # The account is limited because of what it was used for.
    "PUP_LIMITED_DISABLED": ErrorKind.AUTH,
}
_UNSPECIFIED = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})


class GoogleAnswer(VendorAnswer["types.GenerateContentResponse", "types.GenerateContentResponse"]):
    """One answer; complete with the `finishReason` of its first candidate."""

    stop_reasons: ClassVar[Mapping[str, str]] = {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        # Emulators say so; the vendor itself says STOP.
        "FUNCTION_CALL": "tool_calls",
        # Cut off at a limit of the vendor's own. Another request could go on from there.
        "CONTINUATION": "length",
    }
    cut_off = frozenset({"MAX_TOKENS"})

    def __init__(self, model: str, names: ToolNames, endpoint: Endpoint) -> None:
        super().__init__(model, names, endpoint)
        self._id: str | None = None
        self._has_blank_chunk = False
        self._block_reason: str | None = None
        self._counts: dict[str, int] = {}
        self._parts: list[types.Part] = []
        self._calls: list[types.FunctionCall] = []

    def take_event(self, event: types.GenerateContentResponse) -> str:
        self._started = True
        is_blank = not event.model_fields_set - {"sdk_http_response"}
        self._has_blank_chunk = self._has_blank_chunk or is_blank
        self._id = self._id or event.response_id
        self.request_id = self.request_id or self._id
        self._take_usage(event.usage_metadata)
        feedback = event.prompt_feedback
        if feedback is not None:
            self._block_reason = _read_reason(feedback.block_reason) or self._block_reason
        if not event.candidates:
            return ""
        candidate = event.candidates[0]
        self._reason = _read_reason(candidate.finish_reason) or self._reason
        parts = candidate.content.parts if candidate.content is not None else None
        return self._take_text("".join([self._take_part(part) for part in parts or ()]))

    def take_whole(self, answer: types.GenerateContentResponse) -> str:
        text = self.take_event(answer)
        if not answer.candidates and self._block_reason is None:
            raise self._flaw("the answer is malformed: it has no candidates")
        return text

    def _take_usage(self, usage: types.GenerateContentResponseUsageMetadata | None) -> None:
        """Counts grow from chunk to chunk, and a chunk may have only some of them."""
        if usage is None:
            return
        counts = {
            "prompt": usage.prompt_token_count,
            "results": usage.tool_use_prompt_token_count,
            "cached": usage.cached_content_token_count,
            "answer": usage.candidates_token_count,
            "thoughts": usage.thoughts_token_count,
        }
        self._counts |= {
            name: read_token_count(value) for name, value in counts.items() if value is not None
        }

    def _take_part(self, part: types.Part) -> str:
        if part.function_call is not None:
            self._calls.append(part.function_call)
            if len(self._calls) > MAX_TOOL_CALLS:
                raise self._flaw("the answer has too many tool calls")
        text = part.text or ""
        last = self._parts[-1] if self._parts else None
        if last is not None and _is_plain_text(last) and _is_plain_text(part):
            last.text = f"{last.text}{text}"
        else:
            self._parts.append(part)
        return "" if part.thought else text

    def _check_outcome(self) -> None:
        if self._block_reason is not None:
            raise self._flaw(f"the request was filtered ({self._block_reason})", ErrorKind.FILTERED)
        if self._reason is None and self._has_blank_chunk:
            # The SDK ignores what it does not know, until nothing is left of an event.
            raise self._flaw("the answer is malformed: it has empty events")
        kind = _FAILURES.get(self._reason or "")
        if kind is not None:
            how = "was filtered" if kind is ErrorKind.FILTERED else "failed"
            raise self._flaw(f"the answer {how} ({self._reason})", kind)

    def _read_tool_calls(self) -> list[ToolCall]:
        calls: list[ToolCall] = []
        for number, call in enumerate(self._calls):
            arguments = call.args or {}
            if not call.name or len(json.dumps(arguments)) > MAX_ARGUMENT_CHARS:
                raise self._flaw("the model's tool call is malformed")
            # Older models give their calls no ids.
            call_id = call.id or f"call_{self._id or uuid4().hex}_{number}"
            calls.append(ToolCall(call_id, self.names.from_wire(call.name), arguments))
        return calls

    def _read_usage(self) -> Usage | None:
        if not self._counts:
            return None
        count = self._counts.get
        return Usage(
            input_tokens=count("prompt", 0) + count("results", 0),
            output_tokens=count("answer", 0) + count("thoughts", 0),
            cached_tokens=count("cached", 0),
            thinking_tokens=count("thoughts", 0),
        )

    def _encode_native(self) -> Native | None:
        from google.genai import types

        content = types.Content(role="model", parts=self._parts)
        return encode_native(
            API, self._model, content.model_dump(mode="json", by_alias=True, exclude_none=True)
        )


def _read_reason(reason: types.FinishReason | types.BlockedReason | None) -> str | None:
    """The name of a reason, which the SDK may not know yet."""
    name = None if reason is None else str(reason.value)
    return None if name in _UNSPECIFIED else name


def _is_plain_text(part: types.Part) -> bool:
    """Whether it is only text. Such parts are joined; signed parts must stay as they came."""
    return part.model_fields_set == {"text"}
