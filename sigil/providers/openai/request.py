"""What the requests of OpenAI's two APIs have in common."""

from __future__ import annotations

import hashlib
import json

from sigil.messages.conversation import Image, ToolCall
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.shared.errors import CannotSend
from sigil.providers.shared.json_fields import Json

# The longest id of a tool call that chat completions take, and the longest name of a person.
_MAX_CALL_ID = 40
_MAX_OPAQUE_NAME = 64


class CallIds:
    """The ids of a conversation's tool calls as the vendor takes them.

    Other vendors' ids may be too long for it. The ids in an answer that goes back in its own form
    must stay as they are.
    """

    def __init__(self) -> None:
        self._kept: set[str] = set()

    def keep(self, calls: tuple[ToolCall, ...]) -> None:
        """Leaves the ids of these calls as they are."""
        self._kept.update(call.id for call in calls)

    def to_wire(self, call_id: str) -> str:
        """The id that the vendor is given."""
        if call_id in self._kept or len(call_id) <= _MAX_CALL_ID:
            return call_id
        return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def build_common_fields(
    request: ChatRequest, info: ModelInfo, options: OpenAIOptions, *, is_openai: bool
) -> Json:
    """The fields that both APIs call by the same names."""
    fields: Json = {}
    if options.prompt_cache_key and request.session:
        fields["prompt_cache_key"] = _shorten_name(request.session)
    if options.send_user_id and request.user:
        fields[options.user_field or "user"] = _shorten_name(request.user)
    if options.metadata:
        fields["metadata"] = dict(options.metadata)
    if request.stream:
        fields["stream"] = True
    # OpenAI's thinking models refuse a request that sets it.
    if request.temperature is not None and not (is_openai and info.thinking):
        fields["temperature"] = request.temperature
    return fields


def encode_arguments(call: ToolCall) -> str:
    """A call's arguments as JSON."""
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def check_address(image: Image) -> str:
    """Returns the address of a picture if it is public or holds the picture itself.

    Raises `CannotSend` for any other: a server on our network must not be made to fetch it.
    """
    if image.url[:6].lower() == "https:" or image.url[:11].lower() == "data:image/":
        return image.url
    raise CannotSend("a picture is neither at an https: address nor in a data: URL")


def _shorten_name(name: str) -> str:
    too_long = len(name) > _MAX_OPAQUE_NAME
    return hashlib.sha256(name.encode()).hexdigest() if too_long else name
