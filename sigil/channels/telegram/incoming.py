"""What an update means to Sigil. Nothing here asks the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sigil.channels.telegram.message_parts import (
    GENERAL,
    Me,
    RemoteFile,
    cut,
    drop_mention,
    find_command,
    find_files,
    find_quote,
    find_sender,
    find_text,
    find_thread,
    is_reply_to,
    is_topic_start,
    name_chat,
    name_user,
    names_bot,
    read_start,
)
from sigil.channels.telegram.payloads import Message, StoppedGeneration, Update
from sigil.messages.exchange import (
    MAX_CONTENT_BYTES,
    Attachment,
    InboundKind,
    InboundMessage,
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message without its files. `album` is the same for all messages of an album, `query` the
    id of a pressed button that waits for a sign."""

    chat: str
    message_id: str
    sender: str
    text: str
    kind: InboundKind = "message"
    files: tuple[RemoteFile, ...] = ()
    thread: str | None = None
    sender_name: str | None = None
    is_direct: bool = True
    reply_to: str | None = None
    quote: str | None = None
    revision: str | None = None
    addressed: bool = True
    from_bot: bool = False
    album: str | None = None
    query: str | None = None

    def make_message(
        self, channel_type: str, account: str, attachments: Sequence[Attachment]
    ) -> InboundMessage:
        """The message for the core. Raises `MessageInvalid`."""
        return InboundMessage(
            channel_type=channel_type,
            account=account,
            channel_id=self.chat,
            message_id=self.message_id,
            sender_id=self.sender,
            sender_name=self.sender_name,
            content=cut(self.text, MAX_CONTENT_BYTES),
            thread_id=self.thread,
            is_direct=self.is_direct,
            reply_to=self.reply_to,
            quote=self.quote,
            attachments=tuple(attachments),
            kind=self.kind,
            revision=self.revision,
            addressed=self.addressed,
            from_bot=self.from_bot,
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """A group became a supergroup, which has another id."""

    chat: str
    to: str


def read_update(update: Update, me: Me) -> Incoming | Moved | None:
    """What happened; None if it is nothing for Sigil: its own messages, commands for other bots,
    members that come and go."""
    if update.message is not None:
        return _read_message(update.message, me)
    if (edited := update.edited_message) is not None:
        found = _read_message(edited, me)
        if not isinstance(found, Incoming) or not found.text:
            return None
        revision = str(edited.edit_date or update.update_id)
        return replace(found, kind="edit", revision=revision, files=(), album=None)
    if (business := update.business_message) is not None:
        # The owner's own words to a customer come this way too.
        is_customers = business.sender is not None and business.sender.id == business.chat.id
        return _read_message(business, me) if is_customers else None
    if update.stopped_message_generation is not None:
        return _read_stop(update.stopped_message_generation)
    return _read_press(update)


def _read_press(update: Update) -> Incoming | None:
    query = update.callback_query
    if query is None or query.message is None or not query.data:
        return None
    message = query.message
    return Incoming(
        chat=name_chat(message),
        message_id=query.id,
        sender=str(query.sender.id),
        sender_name=name_user(query.sender),
        text=query.data,
        kind="action",
        thread=find_thread(message),
        is_direct=message.chat.type == "private",
        reply_to=str(message.message_id),
        from_bot=query.sender.is_bot,
        query=query.id,
    )


def _read_stop(stopped: StoppedGeneration) -> Incoming:
    thread = stopped.message_thread_id
    return Incoming(
        chat=str(stopped.chat.id),
        message_id=f"stop-{stopped.draft_id}",
        # Drafts are shown in private chats alone, and those have the person's id.
        sender=str(stopped.chat.id),
        text="/stop",
        kind="command",
        thread=None if thread is None or str(thread) == GENERAL else str(thread),
    )


def _read_message(message: Message, me: Me) -> Incoming | Moved | None:
    if message.migrate_to_chat_id is not None:
        return Moved(str(message.chat.id), str(message.migrate_to_chat_id))
    sender = find_sender(message)
    if sender is None or sender[0] == str(me.id):
        return None
    text, entities = find_text(message), message.entities or message.caption_entities
    command, bot = find_command(text, entities)
    if bot and bot.lower() != me.username.lower():
        return None
    files = find_files(message)
    if not text and not files:
        return None
    is_direct = message.chat.type == "private"
    reply = None if is_topic_start(message) else message.reply_to_message
    return Incoming(
        chat=name_chat(message),
        message_id=str(message.message_id),
        sender=sender[0],
        sender_name=sender[1],
        text=read_start(text, command) if is_direct else drop_mention(text, entities, me),
        files=files,
        thread=find_thread(message),
        is_direct=is_direct,
        reply_to=None if reply is None else str(reply.message_id),
        quote=find_quote(message, reply),
        addressed=is_direct
        or bool(bot)
        or command in me.commands
        or is_reply_to(reply, me)
        or any(names_bot(text, entity, me) for entity in entities),
        from_bot=message.sender_chat is None
        and message.sender is not None
        and message.sender.is_bot,
        album=message.media_group_id,
    )
