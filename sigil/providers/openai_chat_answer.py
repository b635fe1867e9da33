"""Puts one answer of chat completions together, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sigil.errors import ErrorKind
from sigil.providers.base import Native
from sigil.providers.openai_answer import Answer, Call, Flaw, counted
from sigil.providers.openai_errors import ErrorBody
from sigil.providers.vendor import ToolNames, native

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

API = "openai.chat"

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

    def take(self, event: ChatCompletionChunk) -> str:
        """Adds a chunk of a stream and returns the text in it."""
        self._start(event)
        self._take_usage(event)
        choices = getattr(event, "choices", None)
        if not choices:
            return ""
        self._take_reason(choices[0])
        delta = choices[0].delta
        return "" if delta is None else self._take_message(delta)

    def take_whole(self, answer: ChatCompletion) -> str:
        """Adds an answer that came in one piece and returns its text."""
        if refusal := getattr(answer, "error", None):
            raise ErrorBody(refusal)
        choices = getattr(answer, "choices", None)
        if not choices or choices[0].message is None:
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed")
        self._start(answer)
        self._take_usage(answer)
        self._take_reason(choices[0])
        return self._take_message(choices[0].message)

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

    def _take_usage(self, event: Any) -> None:
        if (usage := getattr(event, "usage", None)) is not None:
            self._usage = counted(
                usage,
                prompt="prompt_tokens",
                completion="completion_tokens",
                prompt_details="prompt_tokens_details",
                completion_details="completion_tokens_details",
            )

    def _take_reason(self, choice: Any) -> None:
        if isinstance(choice.finish_reason, str):
            self._reason = choice.finish_reason or self._reason

    def _take_message(self, message: Any) -> str:
        """Of a chunk's delta or a whole message, which differ in their tool calls' `index`."""
        if message.tool_calls:
            self._take_calls(message.tool_calls)
        if self._thoughts is not None:
            self._thoughts.take(message)
        # A refusal is what the model has to say.
        text = _plain(message.content) or getattr(message, "refusal", None) or ""
        if not isinstance(text, str):
            raise self._flaw(ErrorKind.SERVER, "the answer's content is not text")
        self._spoke = self._spoke or bool(text.strip())
        self._texts.append(text)
        return text

    def _take_calls(self, deltas: Iterable[Any]) -> None:
        for position, delta in enumerate(deltas):
            index = getattr(delta, "index", None)
            index = position if index is None else index
            call = self._call_at.get(index)
            # Some compatible servers give every call the index 0.
            if call is None or (delta.id and call.id and delta.id != call.id):
                call = self._call_at[index] = Call()
                self._calls.append(call)
            call.id = call.id or delta.id or ""
            if delta.function is not None:
                call.name = call.name or delta.function.name or ""
                call.arguments += delta.function.arguments or ""
            # Such as Google's `extra_content`, a signature without which it refuses the call.
            more = getattr(delta, "model_extra", None) or {}
            call.more |= {name: value for name, value in more.items() if value is not None}
            self._bound(call)


class _Thoughts:
    """What a model thought, in the fields in which its server said it."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._parts: list[dict[str, Any]] = []
        self._size = 0

    @property
    def too_long(self) -> bool:
        return self._size > _MAX_THOUGHTS

    def take(self, message: Any) -> None:
        for name in _THOUGHTS:
            text = getattr(message, name, None)
            if isinstance(text, str) and text and self._fits(text):
                self._texts.setdefault(name, []).append(text)
        parts = getattr(message, _THOUGHT_PARTS, None)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and self._fits(str(part)):
                self._take_part(part)

    def form(self) -> dict[str, Any]:
        texts: dict[str, Any] = {name: "".join(said) for name, said in self._texts.items()}
        return texts | ({_THOUGHT_PARTS: self._parts} if self._parts else {})

    def _take_part(self, part: dict[str, Any]) -> None:
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
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(str(part.get("text") or "") for part in parts)
