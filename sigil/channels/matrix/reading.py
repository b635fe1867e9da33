"""Turns an event of a room into a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sigil.channels.matrix.client import make_path
from sigil.channels.matrix.content import (
    clean_name,
    find_kind,
    is_mentioned,
    is_robot,
    is_said,
    read_command,
    read_words,
    split_quote,
    strip_mention,
)
from sigil.channels.matrix.files import fetch_file, name_file
from sigil.errors import ChannelError, MessageInvalid
from sigil.messages.exchange import Attachment, InboundMessage

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext, Inbox
    from sigil.channels.matrix.client import MatrixClient
    from sigil.channels.matrix.payloads import Content, Event
    from sigil.channels.matrix.rooms import Room, Rooms
    from sigil.channels.matrix.settings import MatrixSettings

log = structlog.get_logger(__name__)

LONGEST_QUOTE = 4000
ENCRYPTED = (
    "This room is encrypted, and I cannot read encrypted messages. "
    "Please invite me to a room without encryption."
)


class Reader:
    """Reads the events of one account. `names` are what people call it."""

    def __init__(
        self,
        context: AccountContext,
        settings: MatrixSettings,
        client: MatrixClient,
        rooms: Rooms,
        inbox: Inbox,
        names: frozenset[str],
    ) -> None:
        self._context = context
        self._settings = settings
        self._client = client
        self._rooms = rooms
        self._inbox = inbox
        self._names = names
        self._commands = frozenset(command.name.lower() for command in inbox.commands)

    async def take(self, room: Room, event: Event) -> None:
        """Hands in what a person said; drops the rest. Raises `StoreError`."""
        self._rooms.note(room, event)
        # Its own first: every sync brings back what the account has sent itself.
        if event.sender == self._client.user_id or is_robot(event.sender):
            return
        if event.type == "m.room.encrypted":
            await self._refuse_encryption(room)
            return
        content = event.content
        if event.type != "m.room.message" or content is None:
            return
        relation = content.relates_to
        if relation is not None and relation.rel_type == "m.replace":
            message = await self._read_edit(room, event, content)
        elif is_said(content):
            message = await self._read_message(room, event, content)
        else:
            return
        if message is None:
            return
        try:
            await self._inbox.receive(message)
        except MessageInvalid as error:
            log.warning("a message is not taken", event=event.event_id, error=str(error))

    async def _read_message(
        self, room: Room, event: Event, content: Content
    ) -> InboundMessage | None:
        await self._rooms.complete(room, event.sender)
        relation = content.relates_to
        thread_id = reply_to = quote = None
        text, addressed = read_words(content), room.is_direct
        if relation is not None:
            thread_id = relation.event_id if relation.rel_type == "m.thread" else None
            # In a thread it is mostly there for clients that know no threads.
            if relation.in_reply_to is not None and not (thread_id and relation.is_falling_back):
                reply_to = relation.in_reply_to.event_id
        if reply_to is not None:
            quote, text = split_quote(text)
            said = await self._rooms.find_said(room, reply_to)
            if said is not None:
                # What was said counts, not what the person who replies says of it.
                quote = split_quote(said.text)[1][:LONGEST_QUOTE].strip() or None
                addressed = addressed or said.sender == self._client.user_id
        addressed = addressed or self._is_mentioned(content, text)
        text = self._strip(text)
        attachments: tuple[Attachment, ...] = ()
        kind = find_kind(content)
        if kind is not None:
            if await self._is_wanted(event, addressed=addressed):
                attachments = (await fetch_file(self._client, self._inbox, content, kind),)
            else:
                text = f"{text}\n[{name_file(content)}]".strip()
        if not text and not attachments:
            return None
        return self._make(
            room,
            event,
            text,
            message_id=event.event_id,
            thread_id=thread_id,
            reply_to=reply_to,
            quote=quote,
            addressed=addressed,
            attachments=attachments,
        )

    async def _read_edit(self, room: Room, event: Event, content: Content) -> InboundMessage | None:
        """An edit counts only if it is by whoever wrote the message, which servers do not check
        (https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events)."""
        relation, new = content.relates_to, content.new_content
        target = None if relation is None else relation.event_id
        if target is None or new is None or not is_said(new):
            return None
        text = read_words(new)
        said = await self._rooms.find_said(room, target)
        if not text or said is None or said.sender != event.sender:
            return None
        await self._rooms.complete(room, event.sender)
        return self._make(
            room,
            event,
            self._strip(text),
            message_id=target,
            revision=event.event_id,
            thread_id=said.thread_id,
            addressed=room.is_direct or self._is_mentioned(new, text),
        )

    def _make(
        self,
        room: Room,
        event: Event,
        text: str,
        *,
        message_id: str,
        revision: str | None = None,
        thread_id: str | None = None,
        reply_to: str | None = None,
        quote: str | None = None,
        addressed: bool = True,
        attachments: tuple[Attachment, ...] = (),
    ) -> InboundMessage | None:
        try:
            return InboundMessage(
                channel_type=self._context.channel_type,
                account=self._context.account,
                channel_id=room.id,
                message_id=message_id,
                sender_id=event.sender,
                sender_name=clean_name(room.names.get(event.sender, "")) or None,
                content=text,
                is_direct=room.is_direct,
                thread_id=thread_id,
                reply_to=reply_to,
                quote=quote,
                attachments=attachments,
                addressed=addressed,
                kind="message" if revision is None else "edit",
                revision=revision,
            )
        except MessageInvalid as error:
            log.warning("a message is not taken", event=event.event_id, error=str(error))
            return None

    async def _is_wanted(self, event: Event, *, addressed: bool) -> bool:
        """Whether a file is fetched: if the message is meant for the account, and from somebody
        who is heard."""
        wanted = addressed or self._settings.groups == "all"
        return wanted and await self._inbox.is_admitted(event.sender)

    def _is_mentioned(self, content: Content, text: str) -> bool:
        return is_mentioned(content, text, self._client.user_id, self._names)

    def _strip(self, text: str) -> str:
        stripped = strip_mention(text, self._client.user_id, self._names)
        return read_command(stripped, self._commands)

    async def _refuse_encryption(self, room: Room) -> None:
        """Tells a room once. The transaction id keeps a restarted process from telling it again,
        for as long as the server remembers it."""
        if room.refused:
            return
        room.refused = True
        log.warning("a room is encrypted and cannot be read", room=room.id)
        path = make_path("rooms", room.id, "send", "m.room.message", "sigil-encrypted")
        body = {"msgtype": "m.notice", "body": ENCRYPTED, "m.mentions": {}}
        try:
            await self._client.call("PUT", path, body, room=True)
        except ChannelError as error:
            log.warning("the room could not be told", room=room.id, error=str(error))
