"""One of Anthropic's answers: https://platform.claude.com/docs/en/build-with-claude/streaming

It consists of blocks (text, thoughts, tool calls). An event begins a block, adds a delta to one,
or says something of the whole message: its usage, why it ended, that it has ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sigil.errors import ErrorKind
from sigil.messages.conversation import Native, ToolCall, Usage
from sigil.providers.anthropic.request import API
from sigil.providers.shared.answer import VendorAnswer
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import ErrorBody
from sigil.providers.shared.json_fields import Json, parse_json, read_object, read_text
from sigil.providers.shared.native import encode_native
from sigil.providers.shared.tokens import read_token_count
from sigil.providers.shared.tools import ToolNames

_MAX_BLOCKS = 256
_MAX_CHARS = 8_000_000
# Which field of its block a delta of this type adds to, and where in the delta the addition is.
_DELTAS = {
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


@dataclass(slots=True)
class _Block:
    """A block of the answer: as it began, and what was added to its fields."""

    fields: Json
    added: dict[str, list[str]] = field(default_factory=dict)

    def parse_input(self) -> Any:
        """The tool's arguments. Raises `ValueError` if they are not JSON."""
        text = "".join(self.added.get("input", ()))
        return parse_json(text) if text else self.fields.get("input") or {}


class AnthropicAnswer(VendorAnswer[str, bytes]):
    """One answer; complete with the event `message_stop`."""

    # https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
    stop_reasons: ClassVar[Mapping[str, str]] = {
        # Some compatible servers say nothing.
        "": "stop",
        "end_turn": "stop",
        "stop_sequence": "stop",
        # Whether tools are called is seen from the calls.
        "tool_use": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
    }
    cut_off = frozenset({"max_tokens", "model_context_window_exceeded"})

    def __init__(self, model: str, names: ToolNames, endpoint: Endpoint) -> None:
        super().__init__(model, names, endpoint)
        self._id = ""
        self._refusal = ""
        self._counts: dict[str, int] = {}
        self._blocks: dict[int, _Block] = {}
        self._chars = 0

    @property
    def is_complete(self) -> bool:
        return self._over

    def take_event(self, event: str) -> str:
        fields = json.loads(event)
        if not isinstance(fields, dict):
            raise self._flaw("the answer is malformed")
        self._started = True
        kind = fields.get("type")
        if kind == "content_block_delta":
            return self._take_delta(_read_index(fields), fields.get("delta"))
        if kind == "content_block_start":
            return self._take_block(_read_index(fields), fields.get("content_block"))
        if kind == "message_start":
            self._take_head(fields.get("message"))
        elif kind == "message_delta":
            self._take_reason(fields.get("delta"))
            self._take_usage(fields.get("usage"))
        elif kind == "message_stop":
            self._over = True
        elif kind == "error":
            raise ErrorBody(fields)
        return ""

    def take_whole(self, answer: bytes) -> str:
        message = read_object(json.loads(answer))
        if message.get("type") == "error":
            raise ErrorBody(message)
        content = message.get("content")
        if not isinstance(content, list):
            raise self._flaw("the answer is malformed")
        self._started = self._over = True
        self._take_head(message)
        self._take_reason(message)
        return "".join([self._take_block(index, block) for index, block in enumerate(content)])

    def _take_head(self, message: object) -> None:
        if isinstance(message, dict):
            self._id = str(message.get("id") or "")
            self._take_usage(message.get("usage"))

    def _take_reason(self, delta: object) -> None:
        fields = read_object(delta)
        self._reason = read_text(fields.get("stop_reason")) or self._reason
        why = read_object(fields.get("stop_details")).get("explanation")
        self._refusal = why if isinstance(why, str) else self._refusal

    def _take_usage(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        counts = {name: usage[name] for name in _COUNTS if usage.get(name) is not None}
        details = usage.get("output_tokens_details")
        if isinstance(details, dict):
            counts["thinking_tokens"] = details.get("thinking_tokens")
        for name, value in counts.items():
            # They are cumulative; some compatible servers end with a count of nothing.
            self._counts[name] = max(self._counts.get(name, 0), read_token_count(value))

    def _take_block(self, index: int, fields: object) -> str:
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            raise self._flaw("the answer is malformed")
        self._blocks[index] = _Block(dict(fields))
        if len(self._blocks) > _MAX_BLOCKS:
            raise self._flaw("the answer is too long")
        return self._take_text(fields.get("text") or "") if fields["type"] == "text" else ""

    def _take_delta(self, index: int, delta: object) -> str:
        if not isinstance(delta, dict):
            raise self._flaw("the answer is malformed")
        kind = delta.get("type")
        if not isinstance(kind, str) or kind not in _DELTAS:
            return ""
        name, addition = _DELTAS[kind]
        piece = delta.get(addition)
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
        return self._take_text(piece) if name == "text" else ""

    def _check_outcome(self) -> None:
        if self._reason == "refusal":
            why = f": {self._refusal}" if self._refusal else ""
            raise self._flaw(f"the model refused to answer{why}", ErrorKind.FILTERED)
        is_full = self._reason == "model_context_window_exceeded"
        if is_full and self.is_complete and not self._has_text:
            raise self._flaw("the context window is full", ErrorKind.CONTEXT_TOO_LONG)

    def _read_tool_calls(self) -> list[ToolCall]:
        """Takes calls out of the blocks that were cut off at the answer's limit."""
        calls: list[ToolCall] = []
        for index, block in list(self._blocks.items()):
            if block.fields.get("type") != "tool_use":
                continue
            call = self._read_tool_call(block, len(calls))
            if call is None:
                del self._blocks[index]
            else:
                block.fields |= {"id": call.id, "input": dict(call.arguments)}
                block.added.clear()
                calls.append(call)
        return calls

    def _read_tool_call(self, block: _Block, number: int) -> ToolCall | None:
        try:
            arguments = block.parse_input()
        except ValueError:
            if self._reason in self.cut_off:
                return None
            arguments = None
        name, call_id = block.fields.get("name"), block.fields.get("id")
        if not isinstance(name, str) or not name or not isinstance(arguments, dict):
            raise self._flaw("the model's tool call is malformed")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"toolu_{self._id}_{number}"
        return ToolCall(call_id, self.names.from_wire(name), arguments)

    def _read_usage(self) -> Usage | None:
        if not self._counts:
            return None
        fresh, read, written, output = (self._counts.get(name, 0) for name in _COUNTS)
        return Usage(
            input_tokens=fresh + read + written,
            output_tokens=output,
            cached_tokens=read,
            cache_write_tokens=written,
            thinking_tokens=min(self._counts.get("thinking_tokens", 0), output),
        )

    def _encode_native(self) -> Native | None:
        content = [raw for block in self._blocks.values() for raw in _rebuild_block(block)]
        return encode_native(API, self._model, content)


def _rebuild_block(block: _Block) -> Iterator[Json]:
    """The block as the API takes it back. Blank text is left out, because it would be refused."""
    # Fields that are null in an answer must not be null in a request.
    raw = {name: value for name, value in block.fields.items() if value is not None}
    raw |= {
        name: str(block.fields.get(name) or "") + "".join(pieces)
        for name, pieces in block.added.items()
    }
    if raw["type"] != "text" or raw.get("text", "").strip():
        yield raw


def _read_index(event: Json) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else -1
