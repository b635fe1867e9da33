"""Mail servers that have to prove who they are, before they get a password."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP as Server

from sigil.channels.base import AccountContext, Chunk
from sigil.channels.email.listener import EmailListener
from sigil.channels.email.sender import EmailSender
from sigil.errors import AccountRefused
from sigil.messages.exchange import OutboundMessage
from sigil.stores import Stores
from tests.channels.cases import FakeInbox
from tests.channels.email.conftest import make_mailbox_settings, make_settings
from tests.channels.email.post import Post, authenticate
from tests.channels.email.test_listener import listen, make_mail, until, write
from tests.conftest import missing_peer
from tests.http.test_transport import make_certificate
from tests.peers.dovecot import Dovecot, find_dovecot, serve_dovecot


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def secured(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[Dovecot]:
    binary = find_dovecot()
    if binary is None:
        missing_peer("Dovecot (Debian's dovecot-imapd and dovecot-lmtpd)")
    file, _ = certificate
    with serve_dovecot(binary, certificate=(file, file.parent / "key.pem")) as server:
        yield server


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_a_mailbox_is_read_over_tls(
    secured: Dovecot,
    certificate: tuple[Path, ssl.SSLContext],
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
) -> None:
    port = secured.imaps_port if tls == "implicit" else secured.imap_port
    server = {"host": "127.0.0.1", "port": port, "tls": tls}
    settings, inbox = make_mailbox_settings(secured, imap=server), FakeInbox()
    listener = EmailListener(AccountContext("post", "email", "post", stores), settings)
    with pytest.raises(AccountRefused, match="certificate"):
        await listener.listen(inbox)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with listen(settings, stores, inbox):
        for number in range(3):  # with TLS, news may come in one record with something else
            write(secured, settings, make_mail(number))
            await until(lambda number=number: len(inbox.received) > number)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_a_mail_is_sent_over_tls(
    certificate: tuple[Path, ssl.SSLContext],
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
) -> None:
    post = Post()

    def make_server() -> Server:
        context = certificate[1] if tls == "starttls" else None
        return Server(post, authenticator=authenticate, auth_require_tls=False, tls_context=context)

    server = await asyncio.get_running_loop().create_server(
        make_server, "127.0.0.1", 0, ssl=certificate[1] if tls == "implicit" else None
    )
    port = server.sockets[0].getsockname()[1]
    settings = make_settings(smtp={"host": "127.0.0.1", "port": port, "tls": tls})
    sender = EmailSender(AccountContext("post", "email", "post", stores), settings)
    chunk = Chunk("d1.0", OutboundMessage("email", "ana@a.org", "Hello"))
    with pytest.raises(AccountRefused, match="certificate"):
        await sender.send(chunk)
    assert post.mails == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    await sender.send(chunk)
    assert len(post.mails) == 1
    server.close()
