"""A bot is heard by a webhook: the secret first, and 200 only after acceptance."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sigil.channels.base import HookRequest
from sigil.channels.telegram.listener import HOOK_HEADER, TelegramListener
from sigil.errors import AccountRefused, StoreError
from tests.channels.telegram.case import make_settings
from tests.channels.telegram.conftest import FakeInbox, context
from tests.channels.telegram.test_errors import JSON
from tests.channels.telegram.test_incoming import load
from tests.peers.telegram import Fault, Server

HOOK = {"mode": "webhook", "public_url": "http://127.0.0.1:1/", "secret": "s3cret"}


@pytest.fixture
async def hooked(server: Server) -> AsyncIterator[TelegramListener]:
    made = TelegramListener(context(), make_settings(server, **HOOK))
    yield made
    await made.close()


def request(body: Any, secret: str | None = "s3cret") -> HookRequest:
    headers = {} if secret is None else {HOOK_HEADER: secret}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HookRequest("POST", headers, {}, data)


async def test_it_registers_itself_with_its_secret(
    server: Server, inbox: FakeInbox, hooked: TelegramListener
) -> None:
    await hooked.listen(inbox)
    hook = server.bot.updates.hook
    assert (hook.url, hook.secret) == ("http://127.0.0.1:1/hooks/telegram", "s3cret")
    assert "message" in server.bot.updates.allowed


async def test_without_a_secret_of_ones_own_the_token_gives_one(server: Server) -> None:
    one = make_settings(server, **HOOK | {"secret": None}).find_secret("telegram")
    assert one == make_settings(server, **HOOK | {"secret": None}).find_secret("telegram")
    assert one != make_settings(server, **HOOK | {"secret": None}).find_secret("family")
    assert len(one) == 64


@pytest.mark.parametrize(
    "given", [{"mode": "webhook"}, {"mode": "webhook", "public_url": "http://x"}]
)
async def test_an_address_that_telegram_cannot_call(
    server: Server, inbox: FakeInbox, given: dict[str, str]
) -> None:
    server.bot.updates.timing.local = False
    listener = TelegramListener(context(), make_settings(server, **given))
    with pytest.raises(AccountRefused, match="public_url"):
        await listener.listen(inbox)
    await listener.close()


async def test_a_call_with_the_secret_is_taken(inbox: FakeInbox, hooked: TelegramListener) -> None:
    assert (await hooked.receive_hook(request(load("private_topic")), inbox)).status == 200
    assert [message.content for message in inbox.received] == ["in a topic of our chat"]


@pytest.mark.parametrize("secret", [None, "", "s3cre", "s3cret ", "é"])
async def test_a_call_without_it_is_not_even_read(
    inbox: FakeInbox, hooked: TelegramListener, secret: str | None
) -> None:
    assert (await hooked.receive_hook(request(b"{", secret), inbox)).status == 401
    assert not inbox.received


async def test_an_account_that_polls_has_no_hook(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    secret = make_settings(server).find_secret("telegram")
    found = await listener.receive_hook(request(load("private_topic"), secret), inbox)
    assert (found.status, inbox.received) == (404, [])


async def test_a_store_that_is_away_is_said(inbox: FakeInbox, hooked: TelegramListener) -> None:
    inbox.error = StoreError("the store is away")
    with pytest.raises(StoreError):
        await hooked.receive_hook(request(load("private_topic")), inbox)


async def test_telegram_that_is_away_is_asked_to_come_again(
    server: Server, inbox: FakeInbox, hooked: TelegramListener
) -> None:
    server.bot.faults.order("getMe", Fault(cuts=True))
    found = await hooked.receive_hook(request(load("private_topic")), inbox)
    assert (found.status, found.headers["Retry-After"]) == (503, "5")
    assert (await hooked.receive_hook(request(load("private_topic")), inbox)).status == 200


@hypothesis_settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(body=st.binary() | JSON.map(json.dumps).map(str.encode), has_secret=st.booleans())
async def test_a_hostile_body_does_no_harm(
    inbox: FakeInbox, hooked: TelegramListener, body: bytes, has_secret: bool
) -> None:
    found = await hooked.receive_hook(request(body, "s3cret" if has_secret else "x"), inbox)
    assert found.status in ((200, 400) if has_secret else (401,))
    assert not inbox.received
