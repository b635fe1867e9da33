"""What the requests of OpenAI's two APIs have in common."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from sigil.conversation import Image, ToolCall
from sigil.errors import ErrorKind, ProviderError
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.options import Options

if TYPE_CHECKING:
    from sigil.providers.openai.answer import Answer, Flaw
    from sigil.providers.shared.vendor import ToolNames

# The longest id of a tool call that chat completions take, and the longest name of a person.
_MAX_CALL_ID = 40
_MAX_OPAQUE = 64


class Api(Protocol):
    """One of the two APIs: how it is asked, and how its answer is read."""

    path: str
    """The address of the API under the server's own."""

    def payload(self, request: ChatRequest, info: ModelInfo, names: ToolNames) -> dict[str, Any]:
        """The request's body. Raises `ProviderError` for what cannot be asked."""
        ...

    def answer(self, model: str, names: ToolNames, flaw: Flaw) -> Answer:
        """Reads one answer."""
        ...


class CallIds:
    """The ids of a conversation's tool calls as the vendor takes them.

    Other vendors' ids may be too long for it. One that it gave itself, in an answer that is
    replayed in its own form, has to stay.
    """

    def __init__(self) -> None:
        self._own: set[str] = set()

    def keep(self, calls: tuple[ToolCall, ...]) -> None:
        """These are given back as they came."""
        self._own.update(call.id for call in calls)

    def wire(self, call_id: str) -> str:
        """The id that the vendor is given."""
        if call_id in self._own or len(call_id) <= _MAX_CALL_ID:
            return call_id
        return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def common(options: Options, request: ChatRequest) -> dict[str, Any]:
    """What is sent only because it is configured."""
    fields: dict[str, Any] = {}
    if options.prompt_cache_key and request.session:
        fields["prompt_cache_key"] = _opaque(request.session)
    if options.send_user_id and request.user:
        fields[options.user_field or "user"] = _opaque(request.user)
    if options.metadata:
        fields["metadata"] = dict(options.metadata)
    return fields


def arguments_of(call: ToolCall) -> str:
    """A call's arguments as text."""
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def address_of(image: Image, name: str) -> str:
    """The picture's address for the vendor. Raises `ProviderError`: a server on the inside must
    not be made to fetch what is neither public nor in the address itself."""
    if image.url[:6].lower() == "https:" or image.url[:11].lower() == "data:image/":
        return image.url
    raise ProviderError(
        f"{name}: a picture is neither at an https: address nor in a data: URL.",
        kind=ErrorKind.INVALID_REQUEST,
        provider=name,
        reached=False,
    )


def _opaque(name: str) -> str:
    return name if len(name) <= _MAX_OPAQUE else hashlib.sha256(name.encode()).hexdigest()
