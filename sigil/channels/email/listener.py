"""Reads a mailbox, one mail after the other, and hands in what people wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from sigil.blobs.base import make_refused
from sigil.channels.base import Check
from sigil.channels.email.bounces import is_report, read_bounce
from sigil.channels.email.cursor import Cursor
from sigil.channels.email.errors import MailboxBusy, class_imap
from sigil.channels.email.mail import Mail, Unreadable, read_mail, strip_reply_marks
from sigil.channels.email.mailbox import LARGEST_MAIL, RENEW_IDLE_S, Fetched, Mailbox
from sigil.channels.email.screening import find_reason
from sigil.channels.email.threads import Threads
from sigil.errors import MediaRefused, MessageInvalid, SigilError
from sigil.messages.exchange import MAX_ATTACHMENTS, Attachment, InboundMessage

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext, Inbox
    from sigil.channels.email.settings import EmailSettings

log = structlog.get_logger(__name__)

BUSY_PAUSE_S = 300.0
T = TypeVar("T")


class EmailListener:
    """The listener of one mailbox. `silence`: how long the connection may say nothing."""

    silence = RENEW_IDLE_S + 120.0

    def __init__(self, context: AccountContext, settings: EmailSettings) -> None:
        self.name = context.name
        self._context = context
        self._settings = settings
        self._threads = Threads(context.stores.notes, context.name)

    async def listen(self, inbox: Inbox) -> None:
        """Hands in what arrives, until cancelled. At the very first start that is what arrives
        from then on. Raises `AccountRefused`, `ChannelError`, `StoreError`."""
        mailbox = Mailbox(self._settings)
        # A thread of its own: IMAP waits for minutes, and others need the loop's threads.
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"imap-{self.name}")
        try:
            await self._read_on(mailbox, thread, inbox)
        except MailboxBusy:
            mailbox.abort()
            await asyncio.sleep(BUSY_PAUSE_S)
            raise
        finally:
            mailbox.abort()  # whatever the thread waits for ends, and so does the thread
            thread.submit(mailbox.close)
            thread.shutdown(wait=False)

    async def close(self) -> None:
        """Does nothing: `listen` closes its connection."""

    async def check(self) -> Sequence[Check]:
        """Logs in on both servers, and looks at what answering needs."""
        # It speaks SMTP, whose library a gateway does not need otherwise.
        from sigil.channels.email.check import check_account

        return await check_account(self._settings, self.name)

    async def _read_on(self, mailbox: Mailbox, thread: ThreadPoolExecutor, inbox: Inbox) -> None:
        await self._call(thread, mailbox.connect)
        await self._call(thread, mailbox.log_in, is_login=True)
        position = await self._call(thread, mailbox.select)
        known = await inbox.load_cursor()
        cursor = Cursor.read(known) if known else Cursor.begin(position, time.time())
        if known is None:
            await inbox.save_cursor(cursor.write())
        if cursor.validity != position.validity:
            log.warning("the mailbox was numbered anew, read again", channel=self.name)
            since = cursor.renewed_from()
            for uid in await self._call(thread, mailbox.list_since, since):
                await self._take(mailbox, thread, uid, inbox, since)
            cursor = cursor.renumber(position)
            await inbox.save_cursor(cursor.write())
        while True:
            inbox.note_activity()
            for uid in await self._call(thread, mailbox.list_after, cursor.uid):
                await self._take(mailbox, thread, uid, inbox)
                cursor = cursor.advance(uid, time.time())
                await inbox.save_cursor(cursor.write())
                inbox.note_activity()
            await self._call(thread, mailbox.wait)

    async def _call(
        self, thread: ThreadPoolExecutor, work: Callable[..., T], *args: Any, is_login: bool = False
    ) -> T:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # a store's client may swallow it, see `waiting`
            raise asyncio.CancelledError
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work, *args)
        except SigilError:
            raise
        except Exception as error:  # IMAPClient passes on what its parsers raise
            raise class_imap(error, self.name, is_login=is_login) from error

    async def _take(
        self,
        mailbox: Mailbox,
        thread: ThreadPoolExecutor,
        uid: int,
        inbox: Inbox,
        since: float = 0.0,
    ) -> None:
        """Hands in one mail, or says in the log why not. Only the store's errors get out, and the
        connection's."""
        fetched = await self._call(thread, mailbox.fetch, uid)
        if fetched is None or fetched.arrived < since:
            return
        try:
            mail = await asyncio.get_running_loop().run_in_executor(thread, read_mail, fetched.raw)
            if is_report(mail.headers):
                await self._report(fetched, inbox)
                return
            reason = find_reason(mail, self._settings)
            if reason is None:
                reason = await self._hand_in(mail, fetched, inbox)
            if reason is not None:
                log.info("mail not answered", channel=self.name, uid=uid, reason=reason)
        except (Unreadable, MessageInvalid) as error:
            log.warning("mail cannot be read", channel=self.name, uid=uid, reason=str(error))

    async def _hand_in(self, mail: Mail, fetched: Fetched, inbox: Inbox) -> str | None:
        """Hands in a mail of a proven author. Returns why it did not."""
        assert mail.author is not None
        thread_id = await self._threads.find_id(mail)
        address, now = mail.author.address, time.time()
        thread = await self._threads.load(address, thread_id)
        if mail.message_id not in thread.ids:
            if thread.is_busy(now):
                return "too many mails in this thread within an hour"
            # Kept first: the reply may be written before `receive` has returned.
            subject = strip_reply_marks(mail.subject)
            await self._threads.save(address, thread_id, thread.add(mail, subject, now))
        attachments, notes = await self._keep_files(mail, fetched, inbox)
        await inbox.receive(self._make_message(mail, thread_id, attachments, notes))
        return None

    def _make_message(
        self, mail: Mail, thread_id: str, attachments: Sequence[Attachment], notes: Sequence[str]
    ) -> InboundMessage:
        assert mail.author is not None
        quote = mail.quote
        if not mail.ancestors and mail.subject and mail.text:
            quote = f"Subject: {mail.subject}\n\n{quote}".strip()
        words = mail.text or (mail.subject if not mail.ancestors else "")
        content = "\n\n".join(part for part in (words, *notes) if part)
        return InboundMessage(
            channel_type=self._context.channel_type,
            account=self._context.account,
            channel_id=mail.author.address,
            message_id=mail.message_id,
            sender_id=mail.author.address,
            sender_name=mail.author.name,
            content=content or ("" if attachments else "(an empty mail)"),
            thread_id=thread_id,
            reply_to=mail.parent,
            attachments=tuple(attachments),
            quote=quote or None,
        )

    async def _keep_files(
        self, mail: Mail, fetched: Fetched, inbox: Inbox
    ) -> tuple[list[Attachment], list[str]]:
        kept: list[Attachment] = []
        notes: list[str] = []
        if fetched.is_cut:
            size = LARGEST_MAIL // (1024 * 1024)
            return kept, [f"[This mail is larger than {size} MB. Its files were not taken.]"]
        for file in mail.files[:MAX_ATTACHMENTS]:
            try:
                kept.append(
                    await inbox.keep_file(
                        _stream(file.data),
                        kind=file.kind,
                        name=file.name,
                        mime_type=file.mime_type,
                        size=len(file.data),
                    )
                )
            except MediaRefused as error:
                kept.append(
                    make_refused(
                        error,
                        kind=file.kind,
                        name=file.name,
                        mime_type=file.mime_type,
                        size=len(file.data),
                    )
                )
        if len(mail.files) > MAX_ATTACHMENTS:
            notes.append(f"[Only the first {MAX_ATTACHMENTS} files of this mail were taken.]")
        return kept, notes

    async def _report(self, fetched: Fetched, inbox: Inbox) -> None:
        assert self._settings.address is not None
        bounce = read_bounce(fetched.raw, self._settings.address)
        if bounce.key is None or bounce.report is None:
            log.info("a report of another mail, or of no end", channel=self.name)
            return
        await inbox.report(bounce.key, bounce.report)


async def _stream(data: bytes) -> AsyncIterator[bytes]:
    yield data
