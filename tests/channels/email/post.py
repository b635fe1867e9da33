"""An SMTP server that keeps mails, or answers as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import email
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, Session

from tests.peers.dovecot import PASSWORD


class Post:
    """A server's handler: keeps mails, or says what a test wants instead of 250."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.answers: dict[str, str] = {}
        self.cuts: set[str] = set()

    async def handle_MAIL(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self._answer(server, "MAIL")

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self._answer(server, "RCPT")

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        if "DATA" not in self.answers:
            self.envelopes.append(envelope)
            assert isinstance(envelope.content, bytes)
            self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return self._answer(server, "DATA")

    def _answer(self, server: Server, step: str) -> str:
        if step in self.cuts:
            server.transport.abort()
        return self.answers.get(step, "250 OK")


def authenticate(server: Server, session: Session, envelope: Envelope, how: str, data: Any) -> Any:
    return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@contextlib.asynccontextmanager
async def serve_post(post: Post, **more: Any) -> AsyncIterator[int]:
    """Serves inside the block, at the port that this gives."""

    def make_server() -> Server:
        return Server(
            post, authenticator=authenticate, auth_require_tls=False, hostname="mx", **more
        )

    server = await asyncio.get_running_loop().create_server(make_server, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
