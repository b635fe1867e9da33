"""What Telegram sends, as far as it is used (https://core.telegram.org/bots/api#update).

Everything but the ids may be missing, and what is unknown is ignored: the API grows every month.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Payload(BaseModel):
    """An object out of the API."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class User(Payload):
    """A person or a bot."""

    id: int
    is_bot: bool = False
    first_name: str = ""
    last_name: str | None = None
    username: str | None = None
    has_topics_enabled: bool = False
    can_read_all_group_messages: bool = False


class Chat(Payload):
    """A chat; `type` is private, group, supergroup or channel."""

    id: int
    type: str = "private"


class Entity(Payload):
    """A marked range of a text, in UTF-16 code units."""

    type: str = ""
    offset: int = 0
    length: int = 0
    user: User | None = None


class File(Payload):
    """A file, or one size of a picture."""

    file_id: str
    file_name: str | None = None
    mime_type: str | None = None
    file_size: int | None = None
    width: int = 0
    height: int = 0


class Sticker(Payload):
    """A sticker; most stand for an emoji."""

    emoji: str | None = None


class Location(Payload):
    """A point on earth, in degrees."""

    latitude: float
    longitude: float


class Contact(Payload):
    """A contact that somebody shared."""

    phone_number: str = ""
    first_name: str = ""
    last_name: str | None = None


class Quote(Payload):
    """The part of a message that a reply quotes."""

    text: str = ""


class Message(Payload):
    """A message, or what stands for one that was deleted."""

    message_id: int
    chat: Chat
    sender: User | None = Field(None, alias="from")
    sender_chat: Chat | None = None
    message_thread_id: int | None = None
    is_topic_message: bool = False
    is_automatic_forward: bool = False
    business_connection_id: str | None = None
    edit_date: int | None = None
    media_group_id: str | None = None
    migrate_to_chat_id: int | None = None
    reply_to_message: Message | None = None
    forum_topic_created: dict[str, Any] | None = None
    quote: Quote | None = None
    text: str | None = None
    entities: list[Entity] = Field(default_factory=list)
    caption: str | None = None
    caption_entities: list[Entity] = Field(default_factory=list)
    rich_message: dict[str, Any] | None = None
    photo: list[File] = Field(default_factory=list)
    voice: File | None = None
    audio: File | None = None
    video: File | None = None
    video_note: File | None = None
    animation: File | None = None
    document: File | None = None
    sticker: Sticker | None = None
    location: Location | None = None
    contact: Contact | None = None


class CallbackQuery(Payload):
    """A button that somebody pressed."""

    id: str
    sender: User = Field(alias="from")
    message: Message | None = None
    data: str | None = None


class StoppedGeneration(Payload):
    """Somebody pressed the stop button of a draft."""

    chat: Chat
    draft_id: int
    message_thread_id: int | None = None


class Update(Payload):
    """One thing that happened. Of the optional fields, one is given."""

    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    business_message: Message | None = None
    callback_query: CallbackQuery | None = None
    stopped_message_generation: StoppedGeneration | None = None


ALLOWED_UPDATES = (
    "message",
    "edited_message",
    "business_message",
    "callback_query",
    "stopped_message_generation",
)
"""The kinds of updates that are asked for. Of a guest's message, the chat's id may be another
chat's, and it takes one answer only; it is not asked for."""


def flatten(rich: Any, depth: int = 20) -> str:
    """The words of a rich message, whose text stands in nested blocks."""
    if isinstance(rich, str):
        return rich
    if depth == 0:
        return ""
    if isinstance(rich, list):
        parts = [flatten(each, depth - 1) for each in rich]
        is_line = any(isinstance(each, dict) and _is_block(each) for each in rich)
        return ("\n" if is_line else "").join(part for part in parts if part)
    if isinstance(rich, dict):
        found = (flatten(rich[name], depth - 1) for name in _WORDS if name in rich)
        return "\n".join(part for part in found if part)
    return ""


_WORDS = ("title", "summary", "header", "text", "blocks", "rows", "cells", "items", "caption")
_INLINE = frozenset(
    {"bold", "italic", "underline", "strikethrough", "spoiler", "code", "url", "text_link"}
    | {"mention", "custom_emoji", "subscript", "superscript", "marked", "math", "anchor_link"}
)


def _is_block(part: dict[str, Any]) -> bool:
    return part.get("type") not in _INLINE
