"""One bot at the server: its chats, its files, and what each chat's people saw of it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.peers.telegram.faults import Faults, Pace
from tests.peers.telegram.limits import ENTITIES, ApiError, bad, forbidden
from tests.peers.telegram.updates import Timing, Updates

TOKEN = "4711:AAExampleTokenOfTheTestsOwn_0123456789"

_CLOSED = {
    "blocked": "bot was blocked by the user",
    "deactivated": "user is deactivated",
    "kicked": "bot was kicked from the supergroup chat",
    "left": "bot is not a member of the channel chat",
    "deleted": "the group chat was deleted",
}


@dataclass
class Chat:
    """`state` is open, one of `_CLOSED`, or the new id of a group that moved."""

    id: int
    type: Literal["private", "group", "supergroup", "channel"] = "private"
    title: str | None = None
    is_forum: bool = False
    topics: set[int] = field(default_factory=set)
    state: str | int = "open"
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    next_id: int = 1

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self.id, "type": self.type}
        if self.title:
            found["title"] = self.title
        return found | ({"is_forum": True} if self.is_forum else {})


@dataclass(frozen=True)
class Seen:
    """One thing that people see of the bot: what was sent, edited, shown as a draft or reacted."""

    at: float
    chat: int
    what: str
    message_id: int | None = None
    text: str = ""
    thread: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class StoredFile:
    data: bytes
    name: str
    size: int
    mime_type: str = "application/octet-stream"


class Bot:
    """Everything that the server knows of one token."""

    def __init__(self, token: str = TOKEN, username: str = "sigil_bot") -> None:
        self.token = token
        self.username = username
        self.has_topics = False
        self.reads_all = False  # privacy mode is off
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, StoredFile] = {}
        self.commands: list[dict[str, str]] = []
        self.callbacks: dict[str, bool] = {}  # answered or not
        self.journal: list[Seen] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.updates = Updates(Timing())
        self.faults = Faults()
        self.pace = Pace()

    @property
    def id(self) -> int:
        return int(self.token.partition(":")[0])

    def me(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "is_bot": True,
            "first_name": "Sigil",
            "username": self.username,
            "can_join_groups": True,
            "can_read_all_group_messages": self.reads_all,
            "has_topics_enabled": self.has_topics,
        }

    # ------------------------------------------------------------ what people do

    def add_chat(self, id: int, type: str = "private", **fields: Any) -> Chat:
        self.chats[id] = chat = Chat(id, type, **fields)  # type: ignore[arg-type]
        return chat

    def write(self, chat: int, text: str | None = None, user: int = 42, **fields: Any) -> int:
        """Somebody writes; returns the message's id."""
        place = self.chats[chat]
        message = self._message(place, {"id": user, "is_bot": False, "first_name": f"U{user}"})
        message |= ({"text": text} if text is not None else {}) | fields
        place.messages[message["message_id"]] = message
        self.updates.push("message", message)
        return message["message_id"]  # type: ignore[no-any-return]

    def rewrite(self, chat: int, message_id: int, text: str) -> None:
        """Somebody edits what they wrote."""
        message = self.chats[chat].messages[message_id] | {"text": text, "edit_date": _now()}
        self.chats[chat].messages[message_id] = message
        self.updates.push("edited_message", message)

    def press(self, chat: int, message_id: int, data: str, user: int = 42) -> str:
        """Somebody presses a button; returns the query's id."""
        query = f"q{len(self.callbacks) + 1}"
        self.callbacks[query] = False
        content = {
            "id": query,
            "from": {"id": user, "is_bot": False, "first_name": f"U{user}"},
            "message": self.chats[chat].messages[message_id],
            "chat_instance": "1",
            "data": data,
        }
        self.updates.push("callback_query", content)
        return query

    def keep(self, file_id: str, data: bytes, name: str = "file", size: int | None = None) -> None:
        """A file that somebody sent; a `size` may be claimed without its bytes."""
        self.files[file_id] = StoredFile(data, name, len(data) if size is None else size)

    # ------------------------------------------------------------ what the bot does

    def find_chat(self, chat_id: int) -> Chat:
        """A chat that the bot may write to. Raises what Telegram answers otherwise."""
        chat = self.chats.get(chat_id)
        if chat is None:
            raise bad("chat not found")
        if isinstance(chat.state, int):
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.state,
            )
        if chat.state != "open":
            raise forbidden(_CLOSED[chat.state])
        return chat

    def post(self, chat: Chat, thread: int | None, fields: dict[str, Any]) -> dict[str, Any]:
        """A message of the bot's that people now see."""
        message = self._message(chat, self.me_as_sender())
        if thread is not None:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        if "entities" in fields:
            fields = fields | {"entities": fields["entities"][:ENTITIES]}
        message |= fields
        chat.messages[message["message_id"]] = message
        text = message.get("text", message.get("caption", ""))
        self.note(chat, "sent", message["message_id"], text, thread, fields)
        return message

    def note(
        self,
        chat: Chat,
        what: str,
        message_id: int | None = None,
        text: str = "",
        thread: int | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        self.journal.append(
            Seen(time.time(), chat.id, what, message_id, text, thread, fields or {})
        )

    def seen(self, chat: int, *what: str) -> list[str]:
        """The texts that a chat's people saw, in order; of messages, if nothing else is asked."""
        wanted = what or ("sent",)
        return [each.text for each in self.journal if each.chat == chat and each.what in wanted]

    def shown(self, chat: int) -> list[str]:
        """What the chat shows now of the bot's messages: after all edits."""
        return [
            message.get("text", message.get("caption", ""))
            for message in self.chats[chat].messages.values()
            if message["from"]["is_bot"]
        ]

    def report(self) -> dict[str, Any]:
        """The journal and the counters, as JSON values."""
        return {
            "journal": [asdict(each) for each in self.journal],
            "early": self.pace.early,
            "pending": len(self.updates.pending),
            "polls": self.updates.polls,
        }

    def me_as_sender(self) -> dict[str, Any]:
        return {key: self.me()[key] for key in ("id", "is_bot", "first_name", "username")}

    def _message(self, chat: Chat, sender: dict[str, Any]) -> dict[str, Any]:
        number, chat.next_id = chat.next_id, chat.next_id + 1
        return {"message_id": number, "date": _now(), "chat": chat.info(), "from": sender}


def _now() -> int:
    return int(time.time())
