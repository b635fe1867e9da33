"""Puts one of Anthropic's answers together, piece by piece, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from sigil.conversation import ToolCall, Usage
from sigil.errors import ErrorKind, ProviderError
from sigil.providers.anthropic.request import API, Json
from sigil.providers.base import ChatEvent, EventType
from sigil.providers.shared.vendor import ToolNames, count, native, parsed

_MAX_BLOCKS = 256
_MAX_CHARS = 8_000_000
# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
# What a delta of this type adds to, and under which name it has it.
_ADDS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("input", "partial_json"),
}
_COUNTS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)


class Failed(Protocol):
    """Makes the provider's errors."""

    def __call__(
        self, kind: ErrorKind, message: str, *, request_id: object = None
    ) -> ProviderError: ...


class ErrorBody(Exception):
    """An error object where an answer was due, under a status of success."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body


@dataclass(slots=True)
class _Block:
    """A block of the answer: as it began, and what was added to its fields."""

    fields: Json
    added: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return str(self.fields.get(name) or "") + "".join(self.added.get(name, ()))

    def input(self) -> Any:
        """The tool's arguments. Raises `ValueError` for what is no JSON."""
        said = "".join(self.added.get("input", ()))
        return parsed(said) if said else self.fields.get("input") or {}


class Answer:
    """One answer. Feed it with `take` or `take_whole`, then `end` gives what closes it.

    `take` wants parsed JSON, of which every field may be missing or of another type.
    """

    def __init__(self, model: str, names: ToolNames, failed: Failed) -> None:
        self._model = model
        self._names = names
        self._failed = failed
        self._id = ""
        self._reason: str | None = None
        self._refusal = ""
        self._counts: dict[str, int] = {}
        self._blocks: dict[int, _Block] = {}
        self._chars = 0
        self._started = False
        self._spoke = False
        self.ended = False
        self.request_id: str | None = None

    def take(self, event: object) -> str:
        """Adds an event of a stream and returns the text in it. Raises `ErrorBody` if it is an
        error."""
        if not isinstance(event, dict):
            raise self._flaw("the answer is malformed")
        self._started = True
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._take_delta(_index(event), event.get("delta"))
        if kind == "content_block_start":
            return self._take_block(_index(event), event.get("content_block"))
        if kind == "message_start":
            self._take_head(event.get("message"))
        elif kind == "message_delta":
            self._take_end(event.get("delta"))
            self._take_usage(event.get("usage"))
        elif kind == "message_stop":
            self.ended = True
        elif kind == "error":
            raise ErrorBody(event)
        return ""

    def take_whole(self, message: object) -> str:
        """Adds an answer that came in one piece and returns its text."""
        if isinstance(message, dict) and message.get("type") == "error":
            raise ErrorBody(message)
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            raise self._flaw("the answer is malformed")
        self._started = self.ended = True
        self._take_head(message)
        self._take_end(message)
        return "".join([self._take_block(index, block) for index, block in enumerate(content)])

    def end(self, failure: ProviderError | None) -> list[ChatEvent]:
        """Tool calls, usage, and DONE; or usage and ERROR, if it failed or is not an answer."""
        events: list[ChatEvent] = []
        if failure is None:
            try:
                events = list(self._closing())
            except ProviderError as error:
                failure = error
            except Exception:  # noqa: BLE001  # such as arguments that are nested too deeply
                failure = self._flaw("the answer is malformed")
        if failure is not None:
            events = [ChatEvent(EventType.ERROR, error=failure)]
        if self._counts:
            events.insert(-1, ChatEvent(EventType.USAGE, usage=self._usage()))
        return events

    def _closing(self) -> Iterator[ChatEvent]:
        self._check()
        calls: list[ToolCall] = []
        content: list[Json] = []
        for block in self._blocks.values():
            if block.fields.get("type") == "tool_use":
                call = self._parsed(block, len(calls))
                if call is None:
                    continue
                calls.append(call)
            content += self._raw(block, calls)
        if not calls and not self._spoke and self._reason != "max_tokens":
            raise self._flaw(f"the answer is empty (it ended with {self._reason!r})")
        for call in calls:
            yield ChatEvent(EventType.TOOL_CALL, tool_call=call)
        reason = _REASONS.get(self._reason or "end_turn", self._reason)
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if calls else "stop"
        kept = native(API, self._model, content) if calls else None
        yield ChatEvent(EventType.DONE, stop_reason=reason, native=kept)

    def _check(self) -> None:
        if self._reason == "refusal":
            why = f": {self._refusal}" if self._refusal else ""
            raise self._flaw(f"the model refused to answer{why}", ErrorKind.FILTERED)
        if not self._started:
            raise self._flaw("the answer is malformed: it has no events")
        if not self.ended:
            raise self._flaw("the answer broke off before its end", ErrorKind.NETWORK)
        if self._reason == "model_context_window_exceeded" and not self._spoke:
            raise self._flaw("the context window is full", ErrorKind.CONTEXT_TOO_LONG)

    def _take_head(self, message: object) -> None:
        if isinstance(message, dict):
            self._id = str(message.get("id") or "")
            self._take_usage(message.get("usage"))

    def _take_end(self, delta: object) -> None:
        if not isinstance(delta, dict):
            return
        reason, details = delta.get("stop_reason"), delta.get("stop_details")
        self._reason = reason if isinstance(reason, str) and reason else self._reason
        why = details.get("explanation") if isinstance(details, dict) else None
        self._refusal = why if isinstance(why, str) else self._refusal

    def _take_usage(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        said = {name: usage[name] for name in _COUNTS if usage.get(name) is not None}
        details = usage.get("output_tokens_details")
        if isinstance(details, dict):
            said["thinking_tokens"] = details.get("thinking_tokens")
        for name, value in said.items():
            # They are cumulative; some compatible servers end with a count of nothing.
            self._counts[name] = max(self._counts.get(name, 0), count(value))

    def _usage(self) -> Usage:
        fresh, read, written, output = (self._counts.get(name, 0) for name in _COUNTS)
        return Usage(
            input_tokens=fresh + read + written,
            output_tokens=output,
            cached_tokens=read,
            cache_write_tokens=written,
            thinking_tokens=min(self._counts.get("thinking_tokens", 0), output),
        )

    def _take_block(self, index: int, fields: object) -> str:
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            raise self._flaw("the answer is malformed")
        self._blocks[index] = _Block(dict(fields))
        if len(self._blocks) > _MAX_BLOCKS:
            raise self._flaw("the answer is too long")
        return self._heard(fields.get("text") or "") if fields["type"] == "text" else ""

    def _take_delta(self, index: int, delta: object) -> str:
        if not isinstance(delta, dict):
            raise self._flaw("the answer is malformed")
        kind = delta.get("type")
        if not isinstance(kind, str) or kind not in _ADDS:
            return ""
        name, said = _ADDS[kind]
        piece = delta.get(said)
        if piece is None:
            return ""
        if not isinstance(piece, str):
            raise self._flaw("the answer is malformed")
        if index not in self._blocks:
            # Some compatible servers begin with the first piece.
            self._take_block(index, {"type": "text" if name == "text" else "thinking"})
        self._chars += len(piece)
        if self._chars > _MAX_CHARS:
            raise self._flaw("the answer is too long")
        self._blocks[index].added.setdefault(name, []).append(piece)
        return self._heard(piece) if name == "text" else ""

    def _heard(self, text: object) -> str:
        if not isinstance(text, str):
            raise self._flaw("the answer's content is not text")
        self._spoke = self._spoke or bool(text.strip())
        return text

    def _parsed(self, block: _Block, number: int) -> ToolCall | None:
        """The call, or None of one that was cut off at the answer's bound."""
        try:
            arguments = block.input()
        except ValueError:
            if _REASONS.get(self._reason or "") == "length":
                return None
            arguments = None
        name, call_id = block.fields.get("name"), block.fields.get("id")
        if not isinstance(name, str) or not name or not isinstance(arguments, dict):
            raise self._flaw("the model's tool call is malformed")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"toolu_{self._id}_{number}"
        return ToolCall(call_id, self._names.own(name), arguments)

    def _raw(self, block: _Block, calls: list[ToolCall]) -> Iterator[Json]:
        """The block as the API takes it back; blank text is refused there."""
        # Fields that are null in an answer are not allowed to be so in a request.
        raw = {name: value for name, value in block.fields.items() if value is not None}
        if raw["type"] == "tool_use":
            raw |= {"id": calls[-1].id, "input": dict(calls[-1].arguments)}
        else:
            raw |= {name: block.text(name) for name in block.added}
        if raw["type"] != "text" or raw.get("text", "").strip():
            yield raw

    def _flaw(self, what: str, kind: ErrorKind = ErrorKind.SERVER) -> ProviderError:
        return self._failed(kind, what, request_id=self.request_id)


def _index(event: Json) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else -1
