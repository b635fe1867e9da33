"""One answer of chat completions: https://platform.openai.com/docs/api-reference/chat-streaming"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from sigil.messages.conversation import Native
from sigil.providers.openai.answer import OpenAIAnswer, PartialCall, UsageFields, read_usage
from sigil.providers.openai.chat.request import API
from sigil.providers.openai.chat.thoughts import Thoughts
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import ErrorBody
from sigil.providers.shared.json_fields import Json, read_list, read_object, read_text
from sigil.providers.shared.native import encode_native
from sigil.providers.shared.tools import ToolNames

_CALL_FIELDS = frozenset({"index", "id", "type", "function"})
_USAGE_FIELDS = UsageFields(
    "prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"
)


class ChatAnswer(OpenAIAnswer):
    """One answer; complete with the `finish_reason` of its first choice."""

    stop_reasons: ClassVar[Mapping[str, str]] = {}  # they are OpenAI's words
    cut_off = frozenset({"length"})

    def __init__(
        self, model: str, names: ToolNames, endpoint: Endpoint, options: OpenAIOptions
    ) -> None:
        super().__init__(model, names, endpoint, options)
        self._texts: list[str] = []
        self._call_at: dict[int, PartialCall] = {}
        self._thoughts = None if options.replay_thoughts is False else Thoughts()

    def _take_fields(self, fields: Json) -> str:
        return self._take_choice(fields, "delta")

    def _take_whole_fields(self, fields: Json) -> str:
        if fields.get("error"):
            raise ErrorBody(fields)
        if not read_list(fields.get("choices")):
            raise self._flaw("the answer is malformed")
        return self._take_choice(fields, "message")

    def _take_choice(self, fields: Json, part: str) -> str:
        """A chunk's delta and a whole message differ only in their tool calls' `index`."""
        if fields.get("usage") is not None:
            self._usage = read_usage(read_object(fields["usage"]), _USAGE_FIELDS)
        choices = read_list(fields.get("choices"))
        if not choices:
            return ""
        choice = read_object(choices[0])
        self._reason = read_text(choice.get("finish_reason")) or self._reason
        message = read_object(choice.get(part))
        for position, call in enumerate(read_list(message.get("tool_calls"))):
            self._take_call(read_object(call), position)
        if self._thoughts is not None:
            self._thoughts.take_message(message)
        # A refusal is what the model has to say.
        content = _read_content(message.get("content")) or message.get("refusal") or ""
        text = self._take_text(content)
        self._texts.append(text)
        return text

    def _take_call(self, fields: Json, position: int) -> None:
        index = fields.get("index")
        index = index if isinstance(index, int) else position
        call_id = read_text(fields.get("id"))
        call = self._call_at.get(index)
        # Some compatible servers give every call the index 0.
        if call is None or (call_id and call.id and call_id != call.id):
            call = self._call_at[index] = PartialCall()
            self._calls.append(call)
        function = read_object(fields.get("function"))
        arguments = function.get("arguments") or ""
        # Some servers give the arguments as JSON and not as a text of JSON.
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)
        call.id = call.id or call_id
        call.name = call.name or read_text(function.get("name"))
        # Such as Google's `extra_content`, a signature without which it refuses the call.
        call.more |= {k: v for k, v in fields.items() if k not in _CALL_FIELDS and v is not None}
        self._check_call_size(call)

    def _encode_native(self) -> Native | None:
        if self._thoughts is not None and self._thoughts.too_long:
            return None
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
                **call.more,
            }
            for call in self._calls
        ]
        content = "".join(self._texts) or None
        message = {"role": "assistant", "content": content, "tool_calls": calls}
        thoughts = {} if self._thoughts is None else self._thoughts.join_fields()
        return encode_native(API, self._model, message | thoughts)


def _read_content(content: Any) -> Any:
    """The text of a content that came in parts (Mistral's), of which some are thoughts."""
    if not isinstance(content, list):
        return content
    parts = [part for part in map(read_object, content) if part.get("type") == "text"]
    return "".join(read_text(part.get("text")) for part in parts)
