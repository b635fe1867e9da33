"""Puts one answer of chat completions together, piece by piece."""

from __future__ import annotations

import json
from typing import Any

from sigil.conversation import Native
from sigil.errors import ErrorKind
from sigil.providers.openai.answer import (
    Answer,
    Call,
    Flaw,
    Json,
    counted,
    fields_of,
    list_of,
    text_of,
)
from sigil.providers.openai.errors import ErrorBody
from sigil.providers.shared.vendor import ToolNames, native

API = "openai.chat"

_OF_CALL = frozenset({"index", "id", "type", "function"})
# Thoughts as compatible servers say them: DeepSeek, Moonshot and vLLM, then OpenRouter.
_THOUGHTS = ("reasoning_content", "reasoning")
_THOUGHT_PARTS = "reasoning_details"
_GROWING_PARTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_MAX_THOUGHTS = 256 * 1024


class ChatAnswer(Answer):
    """One answer of chat completions; complete with the vendor's `finish_reason`."""

    def __init__(
        self, model: str, names: ToolNames, flaw: Flaw, *, keep_thoughts: bool = True
    ) -> None:
        super().__init__(model, names, flaw)
        self._texts: list[str] = []
        self._call_at: dict[int, Call] = {}
        self._thoughts = _Thoughts() if keep_thoughts else None

    def take(self, event: object) -> str:
        """Adds a chunk of a stream and returns the text in it."""
        return self._take(self._start(event), "delta")

    def take_whole(self, answer: object) -> str:
        """Adds an answer that came in one piece and returns its text."""
        fields = self._start(answer)
        if refusal := fields.get("error"):
            raise ErrorBody(refusal)
        if not list_of(fields.get("choices")):
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed")
        return self._take(fields, "message")

    def _take(self, fields: Json, part: str) -> str:
        if fields.get("usage") is not None:
            self._usage = counted(
                fields_of(fields["usage"]),
                prompt="prompt_tokens",
                completion="completion_tokens",
                prompt_details="prompt_tokens_details",
                completion_details="completion_tokens_details",
            )
        choices = list_of(fields.get("choices"))
        if not choices:
            return ""
        choice = fields_of(choices[0])
        self._reason = text_of(choice.get("finish_reason")) or self._reason
        return self._take_message(fields_of(choice.get(part)))

    def _native(self) -> Native | None:
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
        form = {"role": "assistant", "content": content, "tool_calls": calls}
        thoughts = self._thoughts.form() if self._thoughts is not None else {}
        return native(API, self._model, form | thoughts)

    def _take_message(self, message: Json) -> str:
        """Of a chunk's delta or a whole message, which differ in their tool calls' `index`."""
        for position, call in enumerate(list_of(message.get("tool_calls"))):
            self._take_call(fields_of(call), position)
        if self._thoughts is not None:
            self._thoughts.take(message)
        # A refusal is what the model has to say.
        text = _plain(message.get("content")) or message.get("refusal") or ""
        if not isinstance(text, str):
            raise self._flaw(ErrorKind.SERVER, "the answer's content is not text")
        self._spoke = self._spoke or bool(text.strip())
        self._texts.append(text)
        return text

    def _take_call(self, said: Json, position: int) -> None:
        index = said.get("index")
        index = index if isinstance(index, int) else position
        name = text_of(said.get("id"))
        call = self._call_at.get(index)
        # Some compatible servers give every call the index 0.
        if call is None or (name and call.id and name != call.id):
            call = self._call_at[index] = Call()
            self._calls.append(call)
        function = fields_of(said.get("function"))
        arguments = function.get("arguments") or ""
        # Some servers give the arguments as they are.
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)
        call.id = call.id or name
        call.name = call.name or text_of(function.get("name"))
        # Such as Google's `extra_content`, a signature without which it refuses the call.
        call.more |= {k: v for k, v in said.items() if k not in _OF_CALL and v is not None}
        self._bound(call)


class _Thoughts:
    """What a model thought, in the fields in which its server said it."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._parts: list[Json] = []
        self._size = 0

    @property
    def too_long(self) -> bool:
        return self._size > _MAX_THOUGHTS

    def take(self, message: Json) -> None:
        for name in _THOUGHTS:
            text = text_of(message.get(name))
            if text and self._fits(text):
                self._texts.setdefault(name, []).append(text)
        for part in list_of(message.get(_THOUGHT_PARTS)):
            if isinstance(part, dict) and self._fits(str(part)):
                self._take_part(part)

    def form(self) -> Json:
        texts: Json = {name: "".join(said) for name, said in self._texts.items()}
        return texts | ({_THOUGHT_PARTS: self._parts} if self._parts else {})

    def _take_part(self, part: Json) -> None:
        """A stream's texts grow piece by piece; all else comes whole."""
        growing = _GROWING_PARTS.get(str(part.get("type")))
        last = self._parts[-1] if self._parts else {}
        follows = all(last.get(name) == part.get(name) for name in ("type", "index"))
        if growing is None or not last or not follows:
            self._parts.append(dict(part))
            return
        more = {name: value for name, value in part.items() if value is not None}
        last |= more | {growing: f"{last.get(growing) or ''}{part.get(growing) or ''}"}

    def _fits(self, text: str) -> bool:
        self._size += len(text)
        return not self.too_long


def _plain(content: Any) -> Any:
    """The text of content that came in parts (Mistral's), of which thoughts are some."""
    if not isinstance(content, list):
        return content
    parts = [part for part in map(fields_of, content) if part.get("type") == "text"]
    return "".join(text_of(part.get("text")) for part in parts)
