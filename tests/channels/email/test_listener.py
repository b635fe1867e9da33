"""A mailbox on a real Dovecot: what comes in, once and in order, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sigil.channels.base import AccountContext, Report
from sigil.channels.email import listener as listening
from sigil.channels.email import mailbox as imap
from sigil.channels.email.listener import EmailListener
from sigil.channels.email.mailbox import Mailbox
from sigil.channels.email.settings import EmailSettings
from sigil.errors import AccountRefused, ChannelError, StoreError
from sigil.stores import Stores
from sigil.waiting import end
from tests.channels.cases import FakeInbox
from tests.channels.email.conftest import make_mailbox_settings, read_payload
from tests.conftest import missing_peer
from tests.peers.dovecot import Dovecot, find_dovecot, serve_dovecot

SOON = 15.0


@pytest.fixture
def settings(dovecot: Dovecot) -> EmailSettings:
    return make_mailbox_settings(dovecot)


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


def make_listener(settings: EmailSettings, stores: Any) -> EmailListener:
    return EmailListener(AccountContext("post", "email", "post", stores), settings)


@contextlib.asynccontextmanager
async def listen(
    settings: EmailSettings, stores: Any, inbox: FakeInbox
) -> AsyncIterator[asyncio.Task[None]]:
    """Listens inside the block; the mailbox has been opened."""
    before = inbox.activity
    task = asyncio.create_task(make_listener(settings, stores).listen(inbox))
    try:
        await until(lambda: inbox.activity > before or task.done())
        yield task
    finally:
        await end([task])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not holds():
            await asyncio.sleep(0.01)


def write(dovecot: Dovecot, settings: EmailSettings, raw: bytes, sender: str = "ana@a.org") -> None:
    assert settings.address is not None
    raw = raw.replace(b"bot@bot.example", settings.address.encode())
    dovecot.deliver(raw, settings.address, sender)


def make_mail(number: int, *, thread: int | None = None) -> bytes:
    raw = read_payload("plain").replace(b"CAF=x1@", b"mail-%d@" % number)
    raw = raw.replace(b"How are you?", b"words %d" % number)
    if thread is not None:
        raw = raw.replace(
            b"MIME-Version", b"References: <mail-%d@mail.a.org>\nMIME-Version" % thread
        )
    return raw


def read_flags(settings: EmailSettings) -> list[Any]:
    mailbox = Mailbox(settings)
    mailbox.connect()
    mailbox.log_in()
    mailbox.select()
    found = mailbox._open.fetch(mailbox.list_after(0), ["FLAGS"])
    mailbox.close()
    return [each[b"FLAGS"] for each in found.values()]


async def test_a_mail_becomes_a_message_and_stays_unread(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        write(dovecot, settings, read_payload("plain"))
        await until(lambda: bool(inbox.received))
    [message] = inbox.received
    assert (message.channel_type, message.account) == ("email", "post")
    assert message.channel_id == message.sender_id == "ana@a.org"
    assert (message.sender_name, message.content) == ("Ana", "How are you?")
    assert message.message_id == message.thread_id == "CAF=x1@mail.a.org"
    assert message.quote == "Subject: A question"
    assert message.is_direct
    assert not any(b"\\Seen" in flags for flags in read_flags(settings))


async def test_the_first_start_takes_only_what_is_new(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    write(dovecot, settings, make_mail(1))
    async with listen(settings, stores, inbox):
        write(dovecot, settings, make_mail(2))
        await until(lambda: bool(inbox.received))
    assert [each.content for each in inbox.received] == ["words 2"]


async def test_what_came_meanwhile_is_taken_at_the_next_start(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        pass
    for number in range(3):
        write(dovecot, settings, make_mail(number))
    async with listen(settings, stores, inbox):
        await until(lambda: len(inbox.received) == 3)
    async with listen(settings, stores, inbox):
        pass
    assert [each.content for each in inbox.received] == ["words 0", "words 1", "words 2"]


async def test_restarts_in_the_middle_lose_and_double_nothing(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        pass
    for number in range(30):
        write(dovecot, settings, make_mail(number))
    for after in range(3, 30, 6):
        async with listen(settings, stores, inbox):
            await until(lambda after=after: len(inbox.received) >= after)
    async with listen(settings, stores, inbox):
        await until(lambda: len(inbox.received) >= 30)
    assert [each.content for each in inbox.received] == [f"words {at}" for at in range(30)]


async def test_a_mail_that_was_not_accepted_comes_again(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox) as task:
        inbox.error = StoreError("Redis did not answer.")
        write(dovecot, settings, make_mail(1))
        await asyncio.wait({task}, timeout=SOON)
        with pytest.raises(StoreError):
            task.result()
    async with listen(settings, stores, inbox):
        await until(lambda: bool(inbox.received))
    assert [each.content for each in inbox.received] == ["words 1"]


async def test_a_mailbox_that_is_numbered_anew_is_read_again(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        write(dovecot, settings, make_mail(1))
        await until(lambda: bool(inbox.received))
    before = inbox.cursor
    assert settings.address is not None
    dovecot.number_anew(settings.address)
    write(dovecot, settings, make_mail(2))
    async with listen(settings, stores, inbox):
        write(dovecot, settings, make_mail(3))
        await until(lambda: len(inbox.received) >= 3)
    assert [each.content for each in inbox.received] == ["words 1", "words 2", "words 3"]
    assert inbox.cursor != before


async def test_machines_and_strangers_are_passed_over(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        for name in ("auto_replied", "list", "spoofed", "own_sent_copy", "two_authors"):
            write(dovecot, settings, read_payload(name))
        write(dovecot, settings, read_payload("plain").replace(b"CAF=x1", b"CAF=y1"), "<>")
        write(dovecot, settings, b"\x00 no mail at all")
        write(dovecot, settings, make_mail(1))
        await until(lambda: bool(inbox.received))
    assert [each.content for each in inbox.received] == ["words 1"]


async def test_a_bounce_is_a_report(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        write(dovecot, settings, read_payload("bounce"), "<>")
        await until(lambda: bool(inbox.reports))
    said = "550 5.1.1 <ana@a.org>: Recipient address rejected: User unknown"
    assert inbox.reports == [("<sigil.d41.0@bot.example>", Report("failed", said))]
    assert inbox.received == []


async def test_files_are_kept(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        write(dovecot, settings, read_payload("rfc2231_attachment"))
        await until(lambda: bool(inbox.received))
    [(kept, data)] = inbox.files
    assert (kept.name, kept.kind, data) == ("über uns.pdf", "file", b"%PDF-1.7\n")
    assert inbox.received[0].attachments == (kept,)


async def test_of_a_mail_that_is_too_large_the_words_are_taken(
    dovecot: Dovecot,
    settings: EmailSettings,
    stores: Stores,
    inbox: FakeInbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imap, "LARGEST_MAIL", 100_000)
    raw = read_payload("rfc2231_attachment").replace(b"JVBERi0xLjcK\n", b"JVBERi0x\n" * 40_000)
    async with listen(settings, stores, inbox):
        write(dovecot, settings, raw)
        await until(lambda: bool(inbox.received))
    [message] = inbox.received
    assert message.content.startswith("See the file.\n\n[This mail is larger than ")
    assert inbox.files == []


async def test_a_reply_stays_in_its_thread_and_a_thread_has_its_cap(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox):
        write(dovecot, settings, make_mail(0))
        for number in range(1, 14):
            write(dovecot, settings, make_mail(number, thread=0))
        write(dovecot, settings, make_mail(100))
        await until(lambda: inbox.received[-1:] != [] and "100" in inbox.received[-1].content)
    threads = [each.thread_id for each in inbox.received]
    assert threads == ["mail-0@mail.a.org"] * 10 + ["mail-100@mail.a.org"]
    assert inbox.received[1].reply_to == "mail-0@mail.a.org"


async def test_cancelling_ends_the_thread(
    settings: EmailSettings, stores: Stores, inbox: FakeInbox
) -> None:
    async with listen(settings, stores, inbox) as task:
        await asyncio.sleep(0)
        names = [each.name for each in threading.enumerate()]
        assert any(name.startswith("imap-post") for name in names)
    assert task.cancelled()
    await until(
        lambda: not any(each.name.startswith("imap-post") for each in threading.enumerate())
    )


async def test_a_wrong_password_is_the_accounts_trouble(
    dovecot: Dovecot, stores: Stores, inbox: FakeInbox
) -> None:
    settings = make_mailbox_settings(dovecot, password="guessed-words")
    with pytest.raises(AccountRefused, match=r"channels\.post\.username") as raised:
        await make_listener(settings, stores).listen(inbox)
    assert "guessed-words" not in str(raised.value)


async def test_nobody_there(
    dovecot: Dovecot, stores: Stores, inbox: FakeInbox, unused_tcp_port: int
) -> None:
    server = {"host": "127.0.0.1", "port": unused_tcp_port, "tls": "none"}
    settings = make_mailbox_settings(dovecot, imap=server)
    with pytest.raises(ChannelError) as raised:
        await make_listener(settings, stores).listen(inbox)
    assert not isinstance(raised.value, AccountRefused)


@pytest.mark.slow
async def test_a_server_that_ends_and_one_that_does_not_tell(
    stores: Stores, inbox: FakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = find_dovecot()
    if binary is None:
        missing_peer("Dovecot (Debian's dovecot-imapd and dovecot-lmtpd)")
    monkeypatch.setattr(imap, "POLL_S", 0.2)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve_dovecot(binary, idle=False))
        settings = make_mailbox_settings(server)
        async with listen(settings, stores, inbox) as task:
            write(server, settings, make_mail(1))
            await until(lambda: bool(inbox.received))
            stack.close()
            await asyncio.wait({task}, timeout=SOON)
            with pytest.raises(ChannelError):
                task.result()


async def test_a_busy_server_is_left_alone(
    settings: EmailSettings, stores: Stores, inbox: FakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(mailbox: Mailbox) -> None:
        raise imap_error(b"[THROTTLED] Too many requests")

    monkeypatch.setattr(listening, "BUSY_PAUSE_S", 0.01)
    monkeypatch.setattr(Mailbox, "select", refuse)
    with pytest.raises(ChannelError, match="THROTTLED"):
        await make_listener(settings, stores).listen(inbox)


def imap_error(text: bytes) -> Exception:
    import imaplib

    return imaplib.IMAP4.error(text)


async def test_checking_an_account_says_what_to_do(
    dovecot: Dovecot, settings: EmailSettings, stores: Stores
) -> None:
    imap_check, sent, smtp, trust = await make_listener(settings, stores).check()
    assert imap_check.ok
    assert (sent.ok, "'Sent'" in sent.what, bool(sent.hint)) == (True, True, True)
    assert (smtp.ok, smtp.hint) == (False, "Check channels.post.smtp: host, port and tls.")
    assert trust.ok
    wrong = make_mailbox_settings(dovecot, password="guessed-words", authserv_id=None)
    imap_check, smtp, trust = await make_listener(wrong, stores).check()
    assert (imap_check.ok, trust.ok) == (False, False)
    assert "app password" in imap_check.hint
    assert "authserv_id" in trust.hint
