"""A live chat: its event log, and the list of a user's chats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ChatEventRecord:
    """One entry of a live chat's log; `id` orders it and serves as the SSE id."""

    id: str
    data: Mapping[str, Any]


class ChatStore(Protocol):
    """The event logs of live chats (web page, terminal) and a user's list of them.

    A chat is named `<channel>:<chat id>`. Event data is a JSON object with a `type`:
    `user` (text, message_id), `reply` (text, turn, chunk, final) or `draft`
    (turn, token, revision, text: all of the answer so far).
    """

    async def show(self, chat: str, event_id: str, data: Mapping[str, Any]) -> None:
        """Appends an event once per `event_id`; a `reply` removes its turn's draft."""
        ...

    async def draft(self, chat: str, turn: str, token: int, revision: int, text: str) -> bool:
        """Replaces the turn's draft; False if a newer token or revision, or its reply,
        is there already."""
        ...

    async def read(
        self, chat: str, after: str = "0-0", *, block: float = 0.0
    ) -> list[ChatEventRecord]:
        """Events after an id, oldest first; waits up to `block` seconds for one."""
        ...

    async def touch(self, user_id: str, channel: str, chat_id: str, title: str) -> None:
        """Puts the chat at the top of the user's list; the first title stays."""
        ...

    async def list(self, user_id: str, channel: str) -> list[Mapping[str, Any]]:
        """The user's chats, newest first: id, title, at (seconds since the epoch)."""
        ...

    async def owner(self, channel: str, chat_id: str) -> str | None:
        """The user to whom the chat belongs, once it was touched."""
        ...
