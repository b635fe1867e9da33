"""A mailbox's account, and mails as they came."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sigil.channels.email.settings import EmailSettings
from sigil.stores import Stores
from sigil.testing import fake_stores
from tests.conftest import missing_peer
from tests.peers.dovecot import Dovecot, find_dovecot, serve_dovecot

PAYLOADS = Path(__file__).parent / "payloads"
ADDRESS = "bot@bot.example"


def read_payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.eml").read_bytes()


def make_settings(**more: Any) -> EmailSettings:
    fields = {
        "address": ADDRESS,
        "password": "a-made-up-password",
        "imap": {"host": "127.0.0.1", "port": 1, "tls": "none"},
        "smtp": {"host": "127.0.0.1", "port": 1, "tls": "none"},
        "authserv_id": "mx.example.net",
    }
    return EmailSettings.model_validate({**fields, **more})


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    made = fake_stores()
    yield made
    await made.backend.close()


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    binary = find_dovecot()
    if binary is None:
        missing_peer("Dovecot (Debian's dovecot-imapd and dovecot-lmtpd)")
    with serve_dovecot(binary) as server:
        yield server


def make_mailbox_settings(server: Dovecot, **more: Any) -> EmailSettings:
    """A mailbox of one's own on the server."""
    address = f"bot-{uuid.uuid4().hex[:12]}@bot.example"
    imap = {"host": "127.0.0.1", "port": server.imap_port, "tls": "none"}
    return make_settings(**{"address": address, "imap": imap, **more})
