"""What a mail server gets, and what follows from its answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from sigil.blobs.base import name_owner
from sigil.channels.base import AccountContext, Chunk, Rendered
from sigil.channels.email.errors import class_reply
from sigil.channels.email.mail import read_mail
from sigil.channels.email.sender import EmailSender
from sigil.channels.email.threads import Thread, Threads
from sigil.errors import AccountRefused, SendFailed, SendRefused
from sigil.messages.exchange import Attachment, OutboundMessage
from sigil.stores import Stores
from tests.channels.email.conftest import ADDRESS, make_settings, read_payload
from tests.channels.email.post import Post, serve_post

REPLY = OutboundMessage(
    "email", "ana@a.org", "**Well**, thanks.", "CAF=x0@mail.a.org", answers=("CAF=x2@mail.a.org",)
)
CHUNK = Chunk("d41.1", REPLY, rendered=Rendered("Well, thanks.", {"html": "<p><b>Well</b>…</p>"}))


@pytest.fixture
def post() -> Post:
    return Post()


Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve(post: Post) -> AsyncIterator[Serve]:
    """Starts a server with the handler `post`; returns its port."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**more: Any) -> int:
            return await stack.enter_async_context(serve_post(post, **more))

        yield start


def make_sender(stores: Any, port: int, **more: Any) -> EmailSender:
    context = AccountContext("post", "email", "post", stores)
    server = {"host": "127.0.0.1", "port": port, "tls": "none"}
    return EmailSender(context, make_settings(smtp=server, **more))


async def keep_thread(stores: Stores) -> None:
    mail = read_mail(read_payload("reply_quoted"))
    thread = Thread().add(mail, "A question", 0.0)
    await Threads(stores.notes, "post").save("ana@a.org", "CAF=x0@mail.a.org", thread)


async def test_a_reply_goes_into_its_thread(stores: Stores, post: Post, serve: Serve) -> None:
    await keep_thread(stores)
    assert await make_sender(stores, await serve()).send(CHUNK) == "<sigil.d41.1@bot.example>"
    [mail], [envelope] = post.mails, post.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (ADDRESS, ["ana@a.org"])
    assert mail["Subject"] == "Re: A question"
    assert mail["Message-ID"] == "<sigil.d41.1@bot.example>"
    assert mail["In-Reply-To"] == "<CAF=x2@mail.a.org>"
    assert mail["References"] == (
        "<CAF=x0@mail.a.org> <sigil.d41.0@bot.example> <CAF=x2@mail.a.org>"
    )
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert (mail["From"], mail["To"], mail["Reply-To"]) == (ADDRESS, "ana@a.org", ADDRESS)
    assert mail["Date"]
    text, shown = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert shown is not None
    assert text.get_content().strip() == "Well, thanks."
    assert shown.get_content().strip() == "<p><b>Well</b>…</p>"
    content = envelope.content
    assert isinstance(content, bytes)
    assert max(len(line) for line in content.split(b"\r\n")) <= 998


async def test_every_try_has_the_same_id(stores: Stores, post: Post, serve: Serve) -> None:
    sender = make_sender(stores, await serve())
    assert await sender.send(CHUNK) == await sender.send(replace(CHUNK, attempt=2))
    assert len({mail["Message-ID"] for mail in post.mails}) == 1


async def test_a_notice_answers_the_last_mail_of_its_thread(
    stores: Stores, post: Post, serve: Serve
) -> None:
    await keep_thread(stores)
    notice = replace(REPLY, answers=())
    await make_sender(stores, await serve()).send(Chunk("n1.0", notice))
    assert post.mails[0]["In-Reply-To"] == "<CAF=x2@mail.a.org>"


async def test_what_nobody_asked_for_begins_a_thread(
    stores: Stores, post: Post, serve: Serve
) -> None:
    message = OutboundMessage("email", "ana@a.org", "# Good news\n\nIt rains.")
    await make_sender(stores, await serve()).send(Chunk("n2.0", message))
    [mail] = post.mails
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Good news", "auto-generated")
    assert mail["In-Reply-To"] is None
    assert mail["References"] is None


async def test_long_ids_are_written_as_they_are(stores: Stores, post: Post, serve: Serve) -> None:
    ids = tuple(f"{'x' * 150}{number}@mail.a.org" for number in range(40))
    thread = Thread("Größe 😊 " * 10, ids)
    await Threads(stores.notes, "post").save("ana@a.org", ids[0], thread)
    message = replace(REPLY, thread_id=ids[0], answers=(ids[-1],))
    await make_sender(stores, await serve()).send(Chunk("n3.0", message))
    [mail] = post.mails
    assert mail["References"].split() == [f"<{each}>" for each in ids]
    assert mail["Subject"] == "Re: " + ("Größe 😊 " * 10).strip()


async def keep_file(stores: Stores, data: bytes, name: str) -> Attachment:
    async def stream() -> AsyncIterator[bytes]:
        yield data

    owner, kind = name_owner("email", "post"), "application/pdf"
    blob = await stores.blobs.put(stream(), name=name, mime_type=kind, owner=owner)
    return Attachment(blob.url, name, kind)


def read_text(mail: EmailMessage) -> str:
    text = mail.get_body(("plain",))
    assert text is not None
    return str(text.get_content())


async def test_files_go_out(stores: Stores, post: Post, serve: Serve) -> None:
    media = (
        await keep_file(stores, b"%PDF ", "über uns.pdf"),
        Attachment("https://a.org/x", "page", "text/html"),
        Attachment(f"blob:{'x' * 32}", "old.pdf", "application/pdf"),
    )
    await make_sender(stores, await serve()).send(Chunk("f1.0", replace(REPLY, media=media)))
    [mail] = post.mails
    [file] = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("über uns.pdf", "application/pdf")
    assert file.get_content() == b"%PDF "
    assert "page: https://a.org/x" in read_text(mail)
    assert "[The file old.pdf is not kept any more.]" in read_text(mail)


async def test_a_file_that_the_server_does_not_take_is_left_out(
    stores: Stores, post: Post, serve: Serve
) -> None:
    media = (await keep_file(stores, b"%PDF " * 200_000, "a.pdf"),)
    sender = make_sender(stores, await serve(data_size_limit=100_000))
    await sender.send(Chunk("f2.0", replace(REPLY, media=media)))
    [mail] = post.mails
    assert list(mail.iter_attachments()) == []
    assert "The file a.pdf is too large" in read_text(mail)


LINES = {
    "421 4.7.0 Try again later": (SendFailed, False),
    "450 4.2.0 Mailbox busy": (SendFailed, False),
    "451 4.7.1 Greylisting in action, please come back later": (SendFailed, False),
    "452 4.3.1 Insufficient system storage": (SendFailed, False),
    "550 5.1.1 <x@y>: Recipient address rejected: User unknown": (SendRefused, True),
    "550 5.7.1 Refused by policy": (SendRefused, False),
    "551 5.1.6 User has moved": (SendRefused, True),
    "552 5.3.4 Message size exceeds fixed limit": (SendRefused, False),
    "553 5.1.3 Bad address": (SendRefused, True),
    "554 5.7.1 Spam": (SendRefused, False),
    "599 Who knows": (SendRefused, False),
}


@pytest.mark.parametrize("step", ["RCPT", "DATA"])
@pytest.mark.parametrize("line", LINES)
async def test_each_reply_has_its_class(
    stores: Stores, post: Post, serve: Serve, step: str, line: str
) -> None:
    kind, closes = LINES[line]
    post.answers[step] = line
    with pytest.raises(kind) as raised:
        await make_sender(stores, await serve()).send(CHUNK)
    error = raised.value
    assert type(error) is kind
    if isinstance(error, SendFailed):
        assert (error.retry_after, error.outcome_unknown) == (300.0, False)
    if isinstance(error, SendRefused):
        assert error.closes_chat is (closes and step == "RCPT")
    assert post.mails == []


@pytest.mark.parametrize(("attempt", "pause"), [(1, 300), (2, 900), (3, 3600), (4, 3600)])
async def test_a_greylisted_mail_waits_longer_each_time(
    stores: Stores, post: Post, serve: Serve, attempt: int, pause: float
) -> None:
    post.answers["RCPT"] = "451 4.7.1 Greylisting in action, please come back later"
    with pytest.raises(SendFailed) as raised:
        await make_sender(stores, await serve()).send(replace(CHUNK, attempt=attempt))
    assert raised.value.retry_after == pause


async def test_a_sender_that_is_refused_is_the_accounts_trouble(
    stores: Stores, post: Post, serve: Serve
) -> None:
    post.answers["MAIL"] = "553 5.7.1 Sender address rejected: not owned by user"
    with pytest.raises(AccountRefused, match=r"channels\.post\.address"):
        await make_sender(stores, await serve()).send(CHUNK)


async def test_a_wrong_password_is_the_accounts_trouble(stores: Stores, serve: Serve) -> None:
    with pytest.raises(AccountRefused, match="app password") as raised:
        await make_sender(stores, await serve(), password="wrong words").send(CHUNK)
    assert "wrong words" not in str(raised.value)


def test_a_login_that_fails_for_now_is_tried_again() -> None:
    error = class_reply(454, "4.7.0 Temporary authentication failure", "connect", 1, "post")
    assert type(error) is SendFailed


@pytest.mark.parametrize(("step", "unknown"), [("MAIL", False), ("RCPT", False), ("DATA", True)])
async def test_only_a_cut_after_the_mail_itself_leaves_its_outcome_unknown(
    stores: Stores, post: Post, serve: Serve, step: str, unknown: bool
) -> None:
    post.cuts.add(step)
    with pytest.raises(SendFailed) as raised:
        await make_sender(stores, await serve()).send(CHUNK)
    assert raised.value.outcome_unknown is unknown


async def test_nobody_there(stores: Stores, unused_tcp_port: int) -> None:
    with pytest.raises(SendFailed) as raised:
        await make_sender(stores, unused_tcp_port).send(CHUNK)
    assert raised.value.outcome_unknown is False


async def test_a_server_without_starttls_is_not_spoken_to(
    stores: Stores, post: Post, serve: Serve
) -> None:
    server = {"host": "127.0.0.1", "port": await serve(), "tls": "starttls"}
    context = AccountContext("post", "email", "post", stores)
    with pytest.raises(AccountRefused, match=r"channels\.post\.smtp\.tls"):
        await EmailSender(context, make_settings(smtp=server)).send(CHUNK)
    assert post.mails == []


@pytest.mark.parametrize("chat", ["ana", "ana@a.org\r\nBcc: eve@evil.org", "ana@a.org, eve@b.org"])
async def test_what_is_no_address_gets_nothing(stores: Stores, chat: str) -> None:
    message = replace(REPLY)
    object.__setattr__(message, "channel_id", chat)
    with pytest.raises(SendRefused):
        await make_sender(stores, 1).send(Chunk("x.0", message))
