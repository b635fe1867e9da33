"""Sessions: which conversation a message belongs to.

    homelab/group/telegram/default/-100123      one for all who write in a bound group
    personal:ann/direct/ann                     one for all direct chats of a person
    └─ scope ──┘ └──── name ────┘

A session key names a conversation. It begins with the workspace's scope; the rest of it is what
`Workspace.sessions` calls a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import quote

from sigil.identity.scope import PERSONAL, workspace_scope
from sigil.messages.exchange import InboundMessage
from sigil.records import Record

if TYPE_CHECKING:
    from sigil.channels.base import ChannelSpec
    from sigil.identity.users import User


def session_key(workspace_id: str, message: InboundMessage, user: User, spec: ChannelSpec) -> str:
    """The key of the conversation that a user's message belongs to.

    - A channel with `own_sessions`: each chat (and thread) of a user is its own.
    - A direct chat: one per user, or one per user and channel, as the user's
      `session_mode` says.
    - A group: one per chat and thread, shared by all if the chat is bound to a workspace,
      one for each user if it is not.
    """
    scope = workspace_scope(workspace_id, user.id if workspace_id == PERSONAL else None)
    chat = [message.channel_type, message.account, message.channel_id]
    if message.thread_id is not None:
        chat.append(message.thread_id)
    if not message.is_direct:
        return _join_key(scope, "group", *chat)
    if spec.own_sessions:
        return _join_key(scope, "chat", user.id, *chat)
    if user.session_mode == "per_channel":
        return _join_key(scope, "direct", user.id, message.channel_type)
    return _join_key(scope, "direct", user.id)


def _join_key(scope: str, *parts: str) -> str:
    return "/".join((scope, *(quote(part, safe="") for part in parts)))


@dataclass(frozen=True, slots=True)
class Route(Record):
    """Where a message belongs; travels with it on the session's lane."""

    _field: ClassVar[str] = "route"

    workspace_id: str
    user_id: str
    session_key: str

    @property
    def scope(self) -> str:
        """The name under which the workspace's data is kept."""
        return workspace_scope(self.workspace_id, self.user_id)


def decode_item(fields: Mapping[str, str]) -> tuple[InboundMessage, Route]:
    """The message that an item on a session's lane carries, and where it belongs.

    Raises `MessageInvalid` for what is malformed, and `RecordTooNew`."""
    return InboundMessage.from_record(fields), Route.from_record(fields)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session of a conversation.

    `key` names the conversation and stays; /new begins the next `epoch`, with another `id`.
    `messages` are JSON, oldest first. Token counts are of this session alone. `version` is the
    conversation's and rises with each write; a commit that was decided by an older one is refused
    as stale. A session that `is_over` answers what was written before /new; the tokens of that
    are no longer counted.
    """

    key: str
    id: str
    epoch: int = 0
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    messages: tuple[str, ...] = ()
    version: int = 0
    is_over: bool = False


class SessionStore(Protocol):
    """Sessions; written only by commits (`WriteSession`), or by `append` outside of turns."""

    async def load(self, session_key: str, epoch: int | None = None) -> SessionRecord:
        """The session of an epoch with its history (None: the current one's); a fresh one if there
        is none yet."""
        ...

    async def append(self, session_key: str, messages: Sequence[str], *, keep: int) -> None: ...
