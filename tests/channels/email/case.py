"""E-mail for the contract suites: an SMTP server of the tests' own, and a real Dovecot."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sigil.channels.base import AccountContext, ChannelSpec, Listener
from sigil.channels.email.cursor import Cursor
from sigil.channels.email.listener import EmailListener
from sigil.channels.email.mailbox import Mailbox, Position
from sigil.channels.email.sender import EmailSender
from sigil.channels.email.settings import EmailSettings
from sigil.channels.email.spec import EmailType
from sigil.stores import Stores
from tests.channels.cases import FakeInbox, Fault
from tests.channels.email.conftest import make_mailbox_settings, make_settings, read_payload
from tests.channels.email.post import Post, serve_post
from tests.conftest import missing_peer
from tests.peers.dovecot import PASSWORD, Dovecot, find_dovecot, serve_dovecot

ADDRESS = ("email", "post")
FAULTS = frozenset({Fault.AWAY, Fault.CUT, Fault.GONE, Fault.LOCKED})
NOWHERE = {"host": "127.0.0.1", "port": 1, "tls": "none"}


@dataclass
class EmailSenderCase:
    post: Post
    stores: Stores
    sender: EmailSender
    spec: ChannelSpec = EmailType.spec
    address: tuple[str, str] = ADDRESS
    chat: str = "ana@a.org"
    secret: str | None = PASSWORD
    # A 5xx reply says that the mail was not taken, and no server says how long to wait.

    async def list_shown(self) -> list[str]:
        parts = [mail.get_body(("plain",)) for mail in self.post.mails]
        return [str(part.get_content()).strip() for part in parts if part is not None]

    async def break_next(self, fault: Fault) -> None:
        if fault is Fault.CUT:
            self.post.cuts.add("DATA")
        elif fault is Fault.GONE:
            self.post.answers["RCPT"] = "550 5.1.1 <ana@a.org>: User unknown"
        elif fault is Fault.LOCKED:
            self.post.answers["MAIL"] = "535 5.7.8 Error: authentication failed"
        else:
            self.sender = EmailSender(make_context(self.stores), make_settings(smtp=NOWHERE))


def make_context(stores: Stores) -> AccountContext:
    return AccountContext("post", *ADDRESS, stores)


@contextlib.asynccontextmanager
async def open_sender(stores: Stores) -> AsyncIterator[EmailSenderCase]:
    post = Post()
    async with serve_post(post) as port:
        server = {"host": "127.0.0.1", "port": port, "tls": "none"}
        sender = EmailSender(make_context(stores), make_settings(smtp=server))
        yield EmailSenderCase(post, stores, sender)


@dataclass
class EmailListenerCase:
    server: Dovecot
    settings: EmailSettings
    stores: Stores
    listener: EmailListener
    spec: ChannelSpec = EmailType.spec
    address: tuple[str, str] = ADDRESS
    written: int = 0

    async def write(self, text: str) -> None:
        self.written += 1
        raw = read_payload("plain").replace(b"CAF=x1", b"CAF=%d" % self.written)
        await self._deliver(raw.replace(b"How are you?", text.encode()))

    async def edit(self, text: str) -> bool:
        return False

    async def write_as_bot(self, text: str) -> bool:
        await self._deliver(read_payload("own_sent_copy").replace(b"I am well.", text.encode()))
        return True

    async def open_again(self) -> Listener:
        return EmailListener(make_context(self.stores), self.settings)

    async def _deliver(self, raw: bytes) -> None:
        assert self.settings.address is not None
        mailbox = self.settings.address
        raw = raw.replace(b"bot@bot.example", mailbox.encode())
        await asyncio.to_thread(self.server.deliver, raw, mailbox)


@contextlib.asynccontextmanager
async def open_listener(stores: Stores, inbox: FakeInbox) -> AsyncIterator[EmailListenerCase]:
    binary = find_dovecot()
    if binary is None:
        missing_peer("Dovecot (Debian's dovecot-imapd and dovecot-lmtpd)")
    with serve_dovecot(binary) as server:
        settings = make_mailbox_settings(server)
        # As after an earlier start: at its very first one it would take only what comes later.
        end = await asyncio.to_thread(find_end, settings)
        inbox.cursor = Cursor.begin(end, time.time()).write()
        yield EmailListenerCase(
            server, settings, stores, EmailListener(make_context(stores), settings)
        )


def find_end(settings: EmailSettings) -> Position:
    mailbox = Mailbox(settings)
    try:
        mailbox.connect()
        mailbox.log_in()
        return mailbox.select()
    finally:
        mailbox.close()
