"""Sessions: which conversation a message belongs to, and the window of history for a model.

A session key names a conversation; it begins with the workspace's scope, so that what
`Workspace.sessions` calls a name is the rest of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sigil.errors import MessageInvalid
from sigil.providers.base import Image, Message, Native, ToolCall
from sigil.workspace import PERSONAL, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sigil.channels.base import Capabilities
    from sigil.identity import User
    from sigil.messages import InboundMessage

_ROLES = ("user", "assistant", "tool")


def session_key(
    workspace_id: str, message: InboundMessage, user: User, capabilities: Capabilities
) -> str:
    """The key of the conversation that a user's message belongs to.

    - A channel with `own_sessions`: each chat (and thread) of a user is its own.
    - A direct chat: one per user, or one per user and channel, as the user's
      `session_mode` says.
    - A group: one per chat and thread, shared by all if the chat is bound to a workspace,
      one for each user if it is not.
    """
    whose = scope(workspace_id, user.id if workspace_id == PERSONAL else None)
    chat = [message.channel_type, message.account, message.channel_id]
    if message.thread_id is not None:
        chat.append(message.thread_id)
    if not message.is_direct:
        return _key(whose, "group", *chat)
    if capabilities.own_sessions:
        return _key(whose, "chat", user.id, *chat)
    if user.session_mode == "per_channel":
        return _key(whose, "direct", user.id, message.channel_type)
    return _key(whose, "direct", user.id)


def _key(whose: str, *parts: str) -> str:
    return "/".join((whose, *(quote(part, safe="") for part in parts)))


Size = Callable[[Sequence[Message]], int]


def window(messages: Sequence[Message], limit: int, size: Size = len) -> list[Message]:
    """The newest messages, at most `limit` of them (or of what `size` measures), that a model
    can be given.

    A tool call and its results stay together or are left out together. The window starts
    at a user's message if there is any in `messages`: the older answers before it are left
    out; if a long run of tools has filled the window, the newest user's message is put in
    front of what fits.
    """
    if limit <= 0:
        return []
    units = list(_units(messages))
    kept = _newest(units, limit, size)
    start = next((i for i, unit in enumerate(kept) if unit[0].role == "user"), None)
    if start is None:
        question = next((unit for unit in reversed(units) if unit[0].role == "user"), None)
        if question is not None:
            kept = [question, *_newest(units, limit - size(question), size)]
    return [message for unit in kept[start or 0 :] for message in unit]


def _newest(units: Sequence[list[Message]], limit: int, size: Size) -> list[list[Message]]:
    first, total = len(units), 0
    while first and total + size(units[first - 1]) <= limit:
        first -= 1
        total += size(units[first])
    return list(units[first:])


def _units(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """What must not be cut apart. Calls without all of their results, and results without
    their call (the history was trimmed there), are dropped: vendors refuse them."""
    position = 0
    while position < len(messages):
        unit = [messages[position]]
        position += 1
        while position < len(messages) and messages[position].role == "tool":
            unit.append(messages[position])
            position += 1
        asked = sorted(call.id for call in unit[0].tool_calls)
        answered = sorted(message.tool_call_id or "" for message in unit[1:])
        if unit[0].role != "tool" and not asked:
            yield unit[:1]
        elif unit[0].role != "tool" and asked == answered:
            yield unit


def encode_message(message: Message) -> str:
    """One line of JSON for the history; what is empty is left out."""
    fields = {name: value for name, value in asdict(message).items() if value not in ("", (), None)}
    # ASCII, because a model may write half of a surrogate pair, which UTF-8 cannot hold.
    return json.dumps(fields, separators=(",", ":"))


def decode_message(text: str) -> Message:
    """The inverse of `encode_message`. Raises `MessageInvalid`."""
    try:
        fields: dict[str, Any] = json.loads(text)
        fields["tool_calls"] = tuple(ToolCall(**call) for call in fields.get("tool_calls", ()))
        fields["images"] = tuple(Image(**image) for image in fields.get("images", ()))
        if "native" in fields:
            fields["native"] = Native(**fields["native"])
        message = Message(**fields)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MessageInvalid("a message of the history cannot be read.") from error
    if message.role not in _ROLES or not isinstance(message.content, str):
        raise MessageInvalid("a message of the history has no role or text.")
    return message
