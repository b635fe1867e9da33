"""Whole conversations: a real Dovecot, the gateway with its steps, and an SMTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.inbound.accounts import open_accounts
from sigil.stores import Stores
from sigil.testing import FakeProvider, settle
from sigil.waiting import end
from tests.channels.email.conftest import make_mailbox_settings
from tests.channels.email.post import Post, serve_post
from tests.channels.email.test_listener import make_mail, write
from tests.peers.dovecot import Dovecot

SOON = 20.0


def make_gateway(stores: Stores, entry: dict[str, object]) -> Gateway:
    fields = {"channels": {"post": entry}, "models": {"default": "fake/model"}}
    providers = {"fake": FakeProvider("fake", reply="**Yes**.")}
    return build(Settings.model_validate(fields), stores=stores, providers=providers)


async def talk(gateway: Gateway, done: Callable[[], bool]) -> None:
    """Listens and drives all lanes until it is done; then the process dies."""
    [account] = [each for each in open_accounts(gateway) if each.entry.name == "post"]
    listening = asyncio.create_task(account.listen())
    try:
        async with asyncio.timeout(SOON):
            while not done():
                await settle(gateway)
                await asyncio.sleep(0.02)
    finally:
        await end([listening])


def read_text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).strip()


@pytest.mark.slow
async def test_mails_are_answered_once_in_their_threads_over_a_restart(
    dovecot: Dovecot, stores: Stores
) -> None:
    post, mailbox = Post(), make_mailbox_settings(dovecot)
    async with serve_post(post) as port:
        entry = {
            **mailbox.model_dump(mode="json", exclude_none=True),
            "type": "email",
            "password": mailbox.password.get_secret_value() if mailbox.password else "",
            "smtp": {"host": "127.0.0.1", "port": port, "tls": "none"},
            "pairing": "open",
        }
        first = make_gateway(stores, entry)
        opened = asyncio.create_task(open_accounts(first)[0].listen())
        async with asyncio.timeout(SOON):
            while await stores.accounts.load_cursor("post") is None:
                await asyncio.sleep(0.02)
        await end([opened])
        for number in range(4):
            write(dovecot, mailbox, make_mail(number))
        await talk(first, lambda: len(post.mails) >= 2)
        second = make_gateway(stores, entry)
        for number in range(4, 8):
            write(dovecot, mailbox, make_mail(number, thread=number - 4))
        await talk(second, lambda: len(post.mails) >= 8)
        await settle(second)
    parents = sorted(str(mail["In-Reply-To"]) for mail in post.mails)
    assert parents == [f"<mail-{number}@mail.a.org>" for number in range(8)]
    for mail in post.mails:
        number = int(str(mail["In-Reply-To"])[6])
        root = f"<mail-{number % 4}@mail.a.org>"
        assert str(mail["References"]).split()[0] == root
        assert (mail["To"], mail["Subject"]) == ("ana@a.org", "Re: A question")
        assert "Yes" in read_text(mail)
        assert "**" not in read_text(mail)
        shown = mail.get_body(("html",))
        assert shown is not None
        assert "<strong>Yes</strong>" in shown.get_content()
    assert len({mail["Message-ID"] for mail in post.mails}) == 8
