"""What one message says: who wrote it, where, to whom, with which files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sigil.channels.base import MediaKind
from sigil.channels.telegram.payloads import Entity, File, Message, User, flatten
from sigil.messages.exchange import MAX_NAME_BYTES

GENERAL = "1"
"""The id of a forum's first topic. Nobody may name it when sending to it."""
BUSINESS = "@"
"""Stands between a chat's id and a business connection's: the bot then speaks for its owner, in a
chat that may have the id of one of its own chats."""
LARGEST_FILE = 20 * 1024 * 1024
LONGEST_QUOTE = 4000


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself. `commands` are the names of Sigil's commands."""

    id: int
    username: str
    commands: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at Telegram. `size` is what Telegram says, in bytes."""

    id: str
    kind: MediaKind
    name: str
    mime_type: str
    size: int | None


def find_sender(message: Message) -> tuple[str, str | None] | None:
    """Who wrote. People who write as a group or a channel share one account at Telegram, so the
    group or the channel stands for them. Posts that Telegram forwards by itself are nobody's."""
    if message.is_automatic_forward:
        return None
    if message.sender_chat is not None:
        return str(message.sender_chat.id), None
    if message.sender is None:
        return None
    return str(message.sender.id), name_user(message.sender)


def name_chat(message: Message) -> str:
    """The chat's id for Sigil; in a business chat with the connection."""
    connection = message.business_connection_id
    return str(message.chat.id) + (f"{BUSINESS}{connection}" if connection else "")


def name_user(user: User) -> str | None:
    """A person's name as it is shown."""
    name = " ".join(part for part in (user.first_name, user.last_name) if part)
    return clean_name(name) or None


def clean_name(name: str) -> str:
    """A name of theirs without what is no printable character, and not too long."""
    shown = "".join(char if char.isprintable() else " " for char in name)
    return cut(" ".join(shown.split()), MAX_NAME_BYTES)


def find_thread(message: Message) -> str | None:
    """A reply in a group without topics has a thread's id too, but is in none."""
    thread = message.message_thread_id
    if thread is None or not message.is_topic_message or str(thread) == GENERAL:
        return None
    return str(thread)


def is_topic_start(message: Message) -> bool:
    """Whether it replies to nothing but the beginning of its topic, as every message there does."""
    reply = message.reply_to_message
    return reply is not None and (
        reply.forum_topic_created is not None
        or (message.is_topic_message and reply.message_id == message.message_thread_id)
    )


def find_text(message: Message) -> str:
    """The words of a message, or what stands for it in words."""
    if message.text or message.caption:
        return message.text or message.caption or ""
    if message.rich_message is not None:
        return flatten(message.rich_message)
    if message.sticker is not None:
        return message.sticker.emoji or ""
    if message.location is not None:
        return f"Location: {message.location.latitude}, {message.location.longitude}"
    if (contact := message.contact) is not None:
        parts = (contact.first_name, contact.last_name, contact.phone_number)
        return "Contact: " + " ".join(part for part in parts if part)
    return ""


def find_quote(message: Message, reply: Message | None) -> str | None:
    """The words that a reply quotes: the part that was chosen, or all of them."""
    if message.quote is not None and message.quote.text:
        return message.quote.text[:LONGEST_QUOTE]
    return (find_text(reply)[:LONGEST_QUOTE] or None) if reply is not None else None


def is_reply_to(reply: Message | None, me: Me) -> bool:
    """Whether the message that was replied to is the bot's."""
    return reply is not None and reply.sender is not None and reply.sender.id == me.id


def find_command(text: str, entities: Sequence[Entity]) -> tuple[str, str]:
    """The command that a text begins with, and the bot that it names; empty if there is none."""
    for entity in entities:
        if entity.type == "bot_command" and entity.offset == 0:
            name, _, bot = _slice(text, entity)[1:].partition("@")
            return name.lower(), bot
    return "", ""


def read_start(text: str, command: str) -> str:
    """A chat begins with /start. A link such as t.me/BOT?start=CODE has it followed by the code."""
    if command != "start":
        return text
    return text.partition(" ")[2].strip() or "/help"


def drop_mention(text: str, entities: Sequence[Entity], me: Me) -> str:
    """`@bot /stop` is a command as well as `/stop@bot`."""
    for entity in entities:
        if entity.offset == 0 and names_bot(text, entity, me):
            rest = text[len(_slice(text, entity)) :].lstrip()
            return rest if rest.startswith("/") else text
    return text


def names_bot(text: str, entity: Entity, me: Me) -> bool:
    """Whether an entity of the text is a mention of the bot."""
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == me.id
    if entity.type != "mention" or not me.username:
        return False
    return _slice(text, entity).lower() == f"@{me.username.lower()}"


def _slice(text: str, entity: Entity) -> str:
    units = text.encode("utf-16-le", "surrogatepass")
    start = max(0, entity.offset)
    return units[2 * start : 2 * (start + max(0, entity.length))].decode("utf-16-le", "replace")


def find_files(message: Message) -> tuple[RemoteFile, ...]:
    """The file of a message; there is one at most."""
    if message.photo:
        return (_read_file(_pick_size(message.photo), "image", "photo.jpg", "image/jpeg"),)
    if message.voice is not None:
        return (_read_file(message.voice, "voice", "voice.ogg", "audio/ogg"),)
    if message.audio is not None:
        return (_read_file(message.audio, "audio", "audio.mp3", "audio/mpeg"),)
    # An animation comes a second time as a document.
    film = message.video or message.animation or message.video_note
    if film is not None:
        return (_read_file(film, "video", "video.mp4", "video/mp4"),)
    if (document := message.document) is not None:
        is_picture = (document.mime_type or "").startswith("image/")
        kind: MediaKind = "image" if is_picture else "file"
        return (_read_file(document, kind, "file", "application/octet-stream"),)
    return ()


def _pick_size(sizes: Sequence[File]) -> File:
    """The largest that a bot may load; if none is, the smallest."""
    by_area = sorted(sizes, key=lambda size: size.width * size.height)
    fitting = [size for size in by_area if (size.file_size or 0) <= LARGEST_FILE]
    return fitting[-1] if fitting else by_area[0]


def _read_file(file: File, kind: MediaKind, name: str, mime_type: str) -> RemoteFile:
    size = file.file_size if file.file_size is not None and file.file_size >= 0 else None
    return RemoteFile(
        file.file_id,
        kind,
        clean_name(file.file_name or "") or name,
        clean_name(file.mime_type or "") or mime_type,
        size,
    )


def cut(text: str, most: int) -> str:
    """The beginning of a text, with at most so many bytes."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
