"""A webhook's account, and how its program signs."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sigil.channels.base import AccountContext, HookRequest
from sigil.channels.webhook.listener import WebhookListener
from sigil.channels.webhook.settings import WebhookSettings
from sigil.channels.webhook.signature import sign
from tests.channels.cases import FakeInbox

SECRET = "a secret of both sides"
CONTEXT = AccountContext("hook", "webhook", "hook", stores=None)
HELLO = {"id": "m1", "chat": "c1", "sender": "ana", "text": "hello"}


def make_settings(**more: Any) -> WebhookSettings:
    return WebhookSettings.model_validate({"secret": SECRET, **more})


def signed(body: object, *, at: float | None = None, secret: str = SECRET) -> HookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = sign(secret, int(time.time() if at is None else at), raw)
    return HookRequest("POST", {name.lower(): text for name, text in headers.items()}, {}, raw)


@pytest.fixture
def listener() -> WebhookListener:
    return WebhookListener(CONTEXT, make_settings())


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()
