"""One answer of a model, put together while it comes.

A vendor sends an answer as a stream of events: a few characters of text, a piece of a tool call's
arguments, a count of tokens. A `VendorAnswer` collects them and hands the text on at once:

    take_event(event) ──► its text           for each event, until is_over()
    take_whole(answer) ──► its text          or once, for an answer that is not streamed
    close(failure) ──► the last events       TOOL_CALL…, USAGE, DONE   or   USAGE, ERROR

**The end of a stream is not the end of an answer.** A proxy or a server that shuts down ends the
body of a response as cleanly as a model that has said everything, and the SDKs raise nothing. So
an answer counts as complete only if the vendor has said so itself:

    Anthropic           the event `message_stop`
    OpenAI, chat        a choice with a `finish_reason`
    OpenAI, responses   `response.completed` or `response.incomplete`
    Google              a candidate with a `finishReason`

Everything else is an ERROR of the class `network`, and the chain of models goes on from there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from sigil.errors import ErrorKind, ProviderError
from sigil.messages.conversation import Native, ToolCall, Usage
from sigil.providers.base import ChatEvent, EventType
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import make_error
from sigil.providers.shared.tools import ToolNames

EventT = TypeVar("EventT")
WholeT = TypeVar("WholeT")


class VendorAnswer(ABC, Generic[EventT, WholeT]):
    """One answer of `model`. `EventT` is what a stream consists of, `WholeT` an answer in one
    piece."""

    stop_reasons: ClassVar[Mapping[str, str]]
    """The vendor's words for why an answer ended, in Sigil's; others are passed on."""

    cut_off: ClassVar[frozenset[str]]
    """The vendor's words for an answer that was cut off at its limit. It may be empty, and its
    last tool call may be unfinished."""

    def __init__(self, model: str, names: ToolNames, endpoint: Endpoint) -> None:
        self.names = names
        self.request_id: str | None = None
        self._model = model
        self._endpoint = endpoint
        self._started = False
        self._over = False
        self._has_text = False
        self._reason: str | None = None

    @abstractmethod
    def take_event(self, event: EventT) -> str:
        """Adds an event of a stream and returns the text in it. Raises `ErrorBody` if it is an
        error, and `ProviderError` or `ValueError` if it is malformed."""

    @abstractmethod
    def take_whole(self, answer: WholeT) -> str:
        """Adds an answer that came in one piece and returns its text. Raises as `take_event`."""

    @property
    def is_complete(self) -> bool:
        """Whether the vendor has said that the answer has ended."""
        return self._reason is not None

    def is_over(self) -> bool:
        """Whether the stream need not be read any further. Some vendors send their counts of
        tokens after the answer is complete."""
        return self._over

    def close(self, failure: ProviderError | None) -> list[ChatEvent]:
        """The events that end the answer. `failure` says why reading it failed, if it did."""
        events: list[ChatEvent] = []
        if failure is None:
            try:
                events = self._close_answer()
            except ProviderError as error:
                failure = error
            except Exception:  # noqa: BLE001  # such as arguments that are nested too deeply
                failure = self._flaw("the answer is malformed")
        if failure is not None:
            events = [ChatEvent(EventType.ERROR, error=failure)]
        usage = self._read_usage()
        if usage is not None:
            events.insert(-1, ChatEvent(EventType.USAGE, usage=usage))
        return events

    @abstractmethod
    def _check_outcome(self) -> None:
        """Raises `ProviderError` if the vendor or the model has refused or failed to answer."""

    @abstractmethod
    def _read_tool_calls(self) -> list[ToolCall]:
        """The complete tool calls. Raises `ProviderError` if one is malformed."""

    @abstractmethod
    def _read_usage(self) -> Usage | None:
        """The tokens as far as the vendor has counted them; None if it has not."""

    @abstractmethod
    def _encode_native(self) -> Native | None:
        """The answer with its tool calls in the vendor's own form."""

    def _close_answer(self) -> list[ChatEvent]:
        self._check_outcome()
        if not self._started:
            raise self._flaw("the answer is malformed: it has no events")
        if not self.is_complete:
            raise self._flaw("the answer broke off before its end", ErrorKind.NETWORK)
        calls = self._read_tool_calls()
        if not calls and not self._has_text and self._reason not in self.cut_off:
            raise self._flaw(f"the answer is empty (it ended with {self._reason!r})")
        stop_reason = self.stop_reasons.get(self._reason or "", self._reason)
        # Some compatible servers say that the model stopped when it calls tools.
        done = ChatEvent(
            EventType.DONE,
            stop_reason="tool_calls" if calls and stop_reason == "stop" else stop_reason,
            native=self._encode_native() if calls else None,
        )
        return [*(ChatEvent(EventType.TOOL_CALL, tool_call=call) for call in calls), done]

    def _take_text(self, text: object) -> str:
        if not isinstance(text, str):
            raise self._flaw("the answer's content is not text")
        self._has_text = self._has_text or bool(text.strip())
        return text

    def _flaw(self, message: str, kind: ErrorKind = ErrorKind.SERVER) -> ProviderError:
        """The error that this answer is."""
        return make_error(self._endpoint, message, kind, request_id=self.request_id)
