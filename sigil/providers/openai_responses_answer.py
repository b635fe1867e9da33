"""Puts one answer of OpenAI's responses together, event by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sigil.errors import ErrorKind
from sigil.providers.base import Native
from sigil.providers.openai_answer import Answer, Call, Flaw, counted
from sigil.providers.openai_errors import ErrorBody
from sigil.providers.vendor import ToolNames, native

if TYPE_CHECKING:
    from openai.types.responses import Response

API = "openai.responses"

_MAX_ITEMS = 1000
_MAX_UNSEEN_CHARS = 8_000_000
# `incomplete_details.reason`; all others are passed on.
_UNSAID = "max_output_tokens"
_STOP_REASONS = {_UNSAID: "length"}


class ResponsesAnswer(Answer):
    """One answer; complete with `response.completed` or `response.incomplete`.

    `stored` says that the vendor keeps it, so that its items can be named by their ids alone.
    """

    def __init__(self, model: str, names: ToolNames, flaw: Flaw, *, stored: bool = False) -> None:
        super().__init__(model, names, flaw)
        self._stored = stored
        self._items: list[dict[str, Any]] = []
        self._unseen = 0
        self._takes: dict[str, Callable[[Any], str]] = {
            "response.output_text.delta": self._take_text,
            "response.refusal.delta": self._take_text,
            "response.function_call_arguments.delta": self._take_unseen,
            "response.reasoning_text.delta": self._take_unseen,
            "response.reasoning_summary_text.delta": self._take_unseen,
            "response.output_item.done": self._take_done,
            "response.completed": self._take_last,
            "response.incomplete": self._take_last,
            "response.failed": self._take_last,
            "error": self._take_error,
        }

    def take(self, event: Any) -> str:
        """Adds an event of a stream and returns the text in it."""
        self._start(event)
        take = self._takes.get(str(getattr(event, "type", None)))
        return "" if take is None else take(event)

    def take_whole(self, answer: Response) -> str:
        """Adds an answer that came in one piece and returns its text."""
        if not isinstance(getattr(answer, "output", None), list) and not _error_of(answer):
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed")
        self._start(answer)
        return self._take_response(answer)

    def _native(self) -> Native | None:
        named = {id(call.more): call.id for call in self._calls}
        kept = [
            item | ({"call_id": named[id(item)]} if id(item) in named else {})
            for item in self._items
            if item.get("type") != "function_call" or id(item) in named
        ]
        return native(API, self._model, kept if self._stored else _without_references(kept))

    def _take_text(self, event: Any) -> str:
        text = event.delta
        if not isinstance(text, str):
            raise self._flaw(ErrorKind.SERVER, "the answer's content is not text")
        self._spoke = self._spoke or bool(text.strip())
        return text

    def _take_unseen(self, event: Any) -> str:
        """What is on its way comes whole with its item; until then it is only bounded."""
        self._unseen += len(str(event.delta))
        if self._unseen > _MAX_UNSEEN_CHARS:
            raise self._flaw(ErrorKind.SERVER, "the answer's thoughts or tool calls are too long")
        return ""

    def _take_done(self, event: Any) -> str:
        self._take_item(event.item)
        return ""

    def _take_error(self, event: Any) -> str:
        raise ErrorBody({"code": event.code, "message": event.message})

    def _take_last(self, event: Any) -> str:
        text = self._take_response(event.response, event.type.removeprefix("response."))
        self.complete = True
        return text

    def _take_response(self, response: Any, status: str | None = None) -> str:
        """The whole response, of which a stream has said most before."""
        usage = getattr(response, "usage", None)
        if usage is not None:
            self._usage = counted(
                usage,
                prompt="input_tokens",
                completion="output_tokens",
                prompt_details="input_tokens_details",
                completion_details="output_tokens_details",
            )
        status = getattr(response, "status", None) or status
        error = _error_of(response)
        if error is not None or status == "failed":
            raise ErrorBody(error or {"message": "the vendor failed to answer"})
        self._reason = self._reason_of(response, status)
        if not self._items:
            for item in response.output or ():
                self._take_item(item)
        return "" if self._spoke else self._said()

    def _reason_of(self, response: Any, status: str | None) -> str | None:
        if status == "completed":
            return "stop"
        if status != "incomplete":
            return None
        details = getattr(response, "incomplete_details", None)
        reason = str(getattr(details, "reason", None) or _UNSAID)
        return _STOP_REASONS.get(reason, reason)

    def _take_item(self, item: Any) -> None:
        fields = item if isinstance(item, dict) else item.to_dict(mode="json", warnings=False)
        self._items.append(fields)
        if len(self._items) > _MAX_ITEMS:
            raise self._flaw(ErrorKind.SERVER, "the answer has too many parts")
        if fields.get("type") != "function_call":
            return
        call_id, name, arguments = (
            fields.get(key) or "" for key in ("call_id", "name", "arguments")
        )
        if not all(isinstance(text, str) for text in (call_id, name, arguments)):
            raise self._flaw(ErrorKind.SERVER, "the model's tool call is malformed")
        call = Call(call_id, name, arguments, more=fields)
        self._calls.append(call)
        self._bound(call)

    def _said(self) -> str:
        """The text of a server that streams no deltas, or of an answer in one piece."""
        parts = [
            part
            for item in self._items
            if item.get("type") == "message"
            for part in item.get("content") or ()
        ]
        texts = [part.get("text") or part.get("refusal") or "" for part in parts]
        if not all(isinstance(text, str) for text in texts):
            raise self._flaw(ErrorKind.SERVER, "the answer's content is not text")
        text = "".join(texts)
        self._spoke = bool(text.strip())
        return text


def _error_of(response: Any) -> dict[str, Any] | str | None:
    error = getattr(response, "error", None)
    if error is None or isinstance(error, (dict, str)):
        return error or None
    fields: dict[str, Any] = error.to_dict(mode="json", warnings=False)
    return fields


def _without_references(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items such that the vendor has to look nothing up, since it kept nothing.

    Thoughts that did not come with their encrypted form would be looked up by their id, and so
    would be the thoughts that belong to an item with an id.
    """
    bare = [
        item
        for item in items
        if item.get("type") == "reasoning" and not item.get("encrypted_content")
    ]
    if not bare:
        return items
    return [
        {name: value for name, value in item.items() if name != "id"}
        for item in items
        if item not in bare
    ]
