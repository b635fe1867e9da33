"""Sends replies as mails, one connection for each."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from typing import TYPE_CHECKING

from sigil.channels.email import mailbox as imap
from sigil.channels.email.addresses import ADDRESS
from sigil.channels.email.compose import compose
from sigil.channels.email.errors import class_imap
from sigil.channels.email.files import load_files
from sigil.channels.email.machines import make_message_id
from sigil.channels.email.smtp import TooLarge, close_connection, deliver, open_connection
from sigil.channels.email.threads import Thread, Threads
from sigil.errors import SendFailed, SendRefused, StoreError

if TYPE_CHECKING:
    import aiosmtplib

    from sigil.channels.base import AccountContext, Chunk
    from sigil.channels.email.settings import EmailSettings

LOOK_AGAIN_S = 300.0


class EmailSender:
    """The sender of one mailbox."""

    def __init__(self, context: AccountContext, settings: EmailSettings) -> None:
        self.name = context.name
        self._context = context
        self._settings = settings
        self._threads = Threads(context.stores.notes, context.name)

    async def send(self, chunk: Chunk) -> str | None:
        """Sends a chunk as one mail. The platform's id is the Message-ID in brackets; it is the
        same for every try."""
        recipient = chunk.message.channel_id
        if not ADDRESS.fullmatch(recipient):
            raise SendRefused(f"{recipient!r} is no e-mail address.", closes_chat=True)
        address = self._address
        message_id = make_message_id(chunk.id, address)
        thread = await self._load_thread(chunk, message_id)
        files, notes = await load_files(self._context, chunk.message.media)
        client = await open_connection(self._settings, self.name, chunk.attempt)
        try:
            mail = compose(chunk, thread, files, notes, address=address, message_id=message_id)
            try:
                await self._deliver(client, chunk, mail)
            except TooLarge:
                if not files:
                    raise
                notes += [f"[The file {file.name} is too large to be sent.]" for file in files]
                mail = compose(chunk, thread, [], notes, address=address, message_id=message_id)
                await self._deliver(client, chunk, mail)
        except TooLarge as error:
            raise SendRefused(f"the server takes no mail over {error.limit} bytes.") from None
        finally:
            await close_connection(client)
        return f"<{message_id}>"

    async def _deliver(self, client: aiosmtplib.SMTP, chunk: Chunk, mail: EmailMessage) -> None:
        recipient, data = chunk.message.channel_id, bytes(mail)
        await deliver(client, self._address, recipient, data, self.name, chunk.attempt)

    async def close(self) -> None:
        """Does nothing: no connection outlives a mail."""

    @property
    def _address(self) -> str:
        assert self._settings.address is not None
        return self._settings.address

    async def _load_thread(self, chunk: Chunk, message_id: str) -> Thread:
        message = chunk.message
        if message.thread_id is None:
            return Thread()
        try:
            await self._threads.note_sent(message_id, message.thread_id)
            return await self._threads.load(message.channel_id, message.thread_id)
        except StoreError as error:
            raise SendFailed("the notes of the thread cannot be read.") from error


class FilingSender(EmailSender):
    """The sender of a mailbox whose provider files what is sent."""

    async def look_up(self, chunk: Chunk) -> str | None:
        """Looks for the mail in the folder of sent mails."""
        message_id = f"<{make_message_id(chunk.id, self._address)}>"
        try:
            is_there = await asyncio.to_thread(self._find_sent, message_id)
        except Exception as error:  # IMAPClient passes on what its parsers raise
            found = class_imap(error, self.name)
            raise SendFailed(
                f"the sent mails cannot be read: {found.message}", retry_after=LOOK_AGAIN_S
            ) from error
        return message_id if is_there else None

    def _find_sent(self, message_id: str) -> bool:
        assert self._settings.sent_folder is not None
        mailbox = imap.Mailbox(self._settings)
        try:
            mailbox.connect()
            mailbox.log_in()
            return mailbox.has_mail(self._settings.sent_folder, message_id)
        finally:
            mailbox.close()


def make_sender(context: AccountContext, settings: EmailSettings) -> EmailSender:
    """A sender that can look up what it sent, where that is filed."""
    kind = EmailSender if settings.sent_folder is None else FilingSender
    return kind(context, settings)
