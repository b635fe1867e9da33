"""The parameters of calls that send, and what their results say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sigil.channels.telegram.message_parts import BUSINESS, GENERAL
from sigil.channels.telegram.spec import TelegramType
from sigil.errors import SendFailed

if TYPE_CHECKING:
    from sigil.channels.base import Chunk, Rendered
    from sigil.messages.answers import Action

_CALLBACK_BYTES = 64


def make_address(channel_id: str, thread_id: str | None) -> dict[str, Any]:
    """The chat, its business connection and its topic. The General topic is not named."""
    chat, _, business = channel_id.partition(BUSINESS)
    if not chat:  # a channel's public name begins with the same sign
        chat, business = channel_id, ""
    found: dict[str, Any] = {"chat_id": int(chat) if chat.lstrip("-").isdecimal() else chat}
    if business:
        found["business_connection_id"] = business
    if thread_id is not None and thread_id != GENERAL and thread_id.isdecimal():
        found["message_thread_id"] = int(thread_id)
    return found


def make_text(text: str, rendered: Rendered | None) -> dict[str, Any]:
    """A text with its entities."""
    return {"text": text, **make_entities("entities", rendered)}


def make_entities(name: str, rendered: Rendered | None) -> dict[str, Any]:
    """The entities of a rendered text, under the name that the method has for them."""
    entities = None if rendered is None else rendered.extras.get("entities")
    return {name: entities} if entities else {}


def make_reply(chunk: Chunk) -> dict[str, Any]:
    """What the first chunk of a reply refers to, if that is a message."""
    reply = chunk.message.reply_to
    if chunk.index or reply is None or not reply.isdecimal():
        return {}
    return {"reply_parameters": {"message_id": int(reply), "allow_sending_without_reply": True}}


def make_keyboard(actions: Sequence[Action]) -> dict[str, Any]:
    """A button for each action. What a button sends has 64 bytes at most."""
    rows = [
        [{"text": action.label or action.id, "callback_data": action.id}]
        for action in actions
        if 0 < len(action.id.encode()) <= _CALLBACK_BYTES
    ]
    return {"reply_markup": {"inline_keyboard": rows}} if rows else {}


def make_number(draft_id: str) -> int:
    """A number that is never 0, the same for the same draft in every process."""
    digest = hashlib.sha256(draft_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") % (2**31 - 1) + 1


def read_id(result: Any) -> str:
    """The id of the message, or of an album's first one."""
    message = result[0] if isinstance(result, list) and result else result
    found = message.get("message_id") if isinstance(message, Mapping) else None
    if type(found) is not int:
        raise SendFailed("Telegram named no id for a message.", outcome_unknown=True)
    return str(found)


def count_units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str) -> str:
    """The beginning of a text, as much as one message holds."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units[: 2 * TelegramType.spec.text_limit].decode("utf-16-le", "ignore")
