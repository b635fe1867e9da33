"""Sessions: which conversation a message belongs to, and the window of history for a model.

A session key names a conversation; it begins with the workspace's scope, so that what
`Workspace.sessions` calls a name is the rest of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import quote

from sigil.messages import InboundMessage
from sigil.scope import PERSONAL, scope

if TYPE_CHECKING:
    from sigil.channels.base import Capabilities
    from sigil.identity import User


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


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message belongs; travels with it on the session's lane."""

    workspace_id: str
    user_id: str
    session_key: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


def read_route(fields: Mapping[str, str]) -> tuple[InboundMessage, Route]:
    """What an item on a session's lane carries."""
    return InboundMessage.from_json(fields["body"]), Route.from_json(fields["route"])


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The running session of one conversation.

    `key` names the conversation and stays; `id` changes with /new. `messages` are JSON,
    oldest first. Token counts are of this session alone.
    """

    key: str
    id: str
    epoch: int = 0
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    messages: tuple[str, ...] = ()


class SessionStore(Protocol):
    """Sessions; written only by a turn's commit (effects), or `append` outside of turns."""

    async def load(self, session_key: str) -> SessionRecord:
        """The current session with its history; a fresh one if there is none yet."""
        ...

    async def append(self, session_key: str, messages: Sequence[str], *, keep: int) -> None: ...
