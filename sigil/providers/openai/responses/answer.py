"""One of OpenAI's responses: https://platform.openai.com/docs/api-reference/responses-streaming

It consists of items (messages, thoughts, tool calls). Text comes in deltas first. Everything comes
once more with the end of its item, and again with the end of the response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from sigil.messages.conversation import Native
from sigil.providers.openai.answer import OpenAIAnswer, PartialCall, UsageFields, read_usage
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.openai.responses.request import API
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import ErrorBody
from sigil.providers.shared.json_fields import Json, read_list, read_object, read_text
from sigil.providers.shared.native import encode_native
from sigil.providers.shared.tools import ToolNames

_MAX_ITEMS = 1000
_MAX_UNSEEN_CHARS = 8_000_000
_COMPLETED = "completed"
# Stands for `incomplete_details.reason` where it is missing.
_NO_REASON = "max_output_tokens"
_USAGE_FIELDS = UsageFields(
    "input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"
)


class ResponsesAnswer(OpenAIAnswer):
    """One answer; complete with `response.completed` or `response.incomplete`."""

    stop_reasons: ClassVar[Mapping[str, str]] = {_COMPLETED: "stop", "max_output_tokens": "length"}
    cut_off = frozenset({"max_output_tokens"})

    def __init__(
        self, model: str, names: ToolNames, endpoint: Endpoint, options: OpenAIOptions
    ) -> None:
        super().__init__(model, names, endpoint, options)
        self._items: list[Json] = []
        self._unseen_chars = 0
        self._takers: dict[str, Callable[[Json], str]] = {
            "response.output_text.delta": self._take_delta,
            "response.refusal.delta": self._take_delta,
            "response.function_call_arguments.delta": self._take_unseen_delta,
            "response.reasoning_text.delta": self._take_unseen_delta,
            "response.reasoning_summary_text.delta": self._take_unseen_delta,
            "response.output_item.done": self._take_item_event,
            "response.completed": self._take_last_event,
            "response.incomplete": self._take_last_event,
            "response.failed": self._take_last_event,
            "error": self._take_error,
        }

    def _take_fields(self, fields: Json) -> str:
        take = self._takers.get(read_text(fields.get("type")))
        return "" if take is None else take(fields)

    def _take_whole_fields(self, fields: Json) -> str:
        return self._take_response(fields, read_text(fields.get("status")))

    def _take_delta(self, event: Json) -> str:
        return self._take_text(event.get("delta"))

    def _take_unseen_delta(self, event: Json) -> str:
        """The whole comes with the end of its item. Until then only its length is watched."""
        self._unseen_chars += len(str(event.get("delta")))
        if self._unseen_chars > _MAX_UNSEEN_CHARS:
            raise self._flaw("the answer's thoughts or tool calls are too long")
        return ""

    def _take_item_event(self, event: Json) -> str:
        self._take_item(event.get("item"))
        return ""

    def _take_last_event(self, event: Json) -> str:
        response = read_object(event.get("response"))
        status = read_text(response.get("status"))
        status = status or read_text(event.get("type")).removeprefix("response.")
        text = self._take_response(response, status)
        self._over = True
        return text

    def _take_error(self, event: Json) -> str:
        raise ErrorBody(event)

    def _take_response(self, response: Json, status: str) -> str:
        """The whole response. A stream has brought most of it before."""
        if response.get("usage") is not None:
            self._usage = read_usage(read_object(response["usage"]), _USAGE_FIELDS)
        error = response.get("error")
        if error or status == "failed":
            raise ErrorBody(error or {"message": "the vendor failed to answer"})
        if not isinstance(response.get("output"), list):
            raise self._flaw("the answer is malformed")
        self._reason = _read_reason(response, status)
        if not self._items:
            for item in response["output"]:
                self._take_item(item)
        return "" if self._has_text else self._take_text_of_items()

    def _take_item(self, item: object) -> None:
        if not isinstance(item, dict):
            raise self._flaw("the answer is malformed")
        self._items.append(item)
        if len(self._items) > _MAX_ITEMS:
            raise self._flaw("the answer has too many parts")
        if item.get("type") != "function_call":
            return
        call_id, name, arguments = (item.get(key) or "" for key in ("call_id", "name", "arguments"))
        if not all(isinstance(text, str) for text in (call_id, name, arguments)):
            raise self._flaw("the model's tool call is malformed")
        call = PartialCall(call_id, name, arguments, more=item)
        self._calls.append(call)
        self._check_call_size(call)

    def _take_text_of_items(self) -> str:
        """For a server that streams no deltas, and for an answer in one piece."""
        return "".join(
            self._take_text(part.get("text") or part.get("refusal") or "")
            for item in self._items
            if item.get("type") == "message"
            for part in map(read_object, read_list(item.get("content")))
        )

    def _encode_native(self) -> Native | None:
        # The ids that calls were given here, if they came without one.
        ids = {id(call.more): call.id for call in self._calls}
        items = [
            item | ({"call_id": ids[id(item)]} if id(item) in ids else {})
            for item in self._items
            if item.get("type") != "function_call" or id(item) in ids
        ]
        # If the vendor keeps the answer, its items can be named by their ids alone.
        is_stored = bool(self._options.store)
        return encode_native(API, self._model, items if is_stored else _drop_references(items))


def _read_reason(response: Json, status: str) -> str | None:
    if status == _COMPLETED:
        return _COMPLETED
    if status != "incomplete":
        return None
    details = read_object(response.get("incomplete_details"))
    return read_text(details.get("reason")) or _NO_REASON


def _drop_references(items: list[Json]) -> list[Json]:
    """The items without anything that the vendor would have to look up, since it kept nothing.

    It would look up thoughts that came without their encrypted form, by their id, and thoughts
    that belong to another item, by the id of that item.
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
