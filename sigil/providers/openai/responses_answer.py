"""Puts one answer of OpenAI's responses together, event by event."""

from __future__ import annotations

from collections.abc import Callable

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
        self._items: list[Json] = []
        self._unseen = 0
        self._takes: dict[str, Callable[[Json], str]] = {
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

    def take(self, event: object) -> str:
        """Adds an event of a stream and returns the text in it."""
        fields = self._start(event)
        take = self._takes.get(text_of(fields.get("type")))
        return "" if take is None else take(fields)

    def take_whole(self, answer: object) -> str:
        """Adds an answer that came in one piece and returns its text."""
        return self._take_response(self._start(answer))

    def _native(self) -> Native | None:
        named = {id(call.more): call.id for call in self._calls}
        kept = [
            item | ({"call_id": named[id(item)]} if id(item) in named else {})
            for item in self._items
            if item.get("type") != "function_call" or id(item) in named
        ]
        return native(API, self._model, kept if self._stored else _without_references(kept))

    def _take_text(self, event: Json) -> str:
        text = event.get("delta")
        if not isinstance(text, str):
            raise self._flaw(ErrorKind.SERVER, "the answer's content is not text")
        self._spoke = self._spoke or bool(text.strip())
        return text

    def _take_unseen(self, event: Json) -> str:
        """What is on its way comes whole with its item; until then it is only bounded."""
        self._unseen += len(str(event.get("delta")))
        if self._unseen > _MAX_UNSEEN_CHARS:
            raise self._flaw(ErrorKind.SERVER, "the answer's thoughts or tool calls are too long")
        return ""

    def _take_done(self, event: Json) -> str:
        self._take_item(event.get("item"))
        return ""

    def _take_error(self, event: Json) -> str:
        raise ErrorBody(event)

    def _take_last(self, event: Json) -> str:
        ended = text_of(event.get("type")).removeprefix("response.")
        text = self._take_response(fields_of(event.get("response")), ended)
        self.complete = True
        return text

    def _take_response(self, response: Json, ended: str = "") -> str:
        """The whole response, of which a stream has said most before."""
        if response.get("usage") is not None:
            self._usage = counted(
                fields_of(response["usage"]),
                prompt="input_tokens",
                completion="output_tokens",
                prompt_details="input_tokens_details",
                completion_details="output_tokens_details",
            )
        status = text_of(response.get("status")) or ended
        error = response.get("error")
        if error or status == "failed":
            raise ErrorBody(error or {"message": "the vendor failed to answer"})
        if not isinstance(response.get("output"), list):
            raise self._flaw(ErrorKind.SERVER, "the answer is malformed")
        self._reason = _reason_of(response, status)
        if not self._items:
            for item in response["output"]:
                self._take_item(item)
        return "" if self._spoke else self._said()

    def _take_item(self, item: object) -> None:
        fields = self._start(item)
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
        said = [
            part.get("text") or part.get("refusal") or ""
            for item in self._items
            if item.get("type") == "message"
            for part in map(fields_of, list_of(item.get("content")))
        ]
        if not all(isinstance(text, str) for text in said):
            raise self._flaw(ErrorKind.SERVER, "the answer's content is not text")
        text = "".join(said)
        self._spoke = bool(text.strip())
        return text


def _reason_of(response: Json, status: str) -> str | None:
    if status == "completed":
        return "stop"
    if status != "incomplete":
        return None
    details = fields_of(response.get("incomplete_details"))
    reason = text_of(details.get("reason")) or _UNSAID
    return _STOP_REASONS.get(reason, reason)


def _without_references(items: list[Json]) -> list[Json]:
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
