"""What a program may hand in, and what it is told."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from sigil.channels.base import HookResponse
from sigil.channels.webhook.listener import WebhookListener
from sigil.errors import StoreFull
from sigil.http.fetch import Fetcher
from tests.channels.cases import FakeInbox
from tests.channels.webhook.conftest import CONTEXT, HELLO, make_settings, signed

HOSTILE_BODIES = int(os.environ.get("SIGIL_HOSTILE_BODIES", "300"))


def read(response: HookResponse) -> Any:
    assert response.content_type == "application/json"
    return json.loads(response.body)


async def test_a_signed_message_is_accepted(listener: WebhookListener, inbox: FakeInbox) -> None:
    body = {**HELLO, "sender_name": "Ana", "thread": "t1", "direct": False, "addressed": False}
    response = await listener.receive_hook(signed(body), inbox)
    assert (response.status, read(response)) == (
        202,
        {"id": "c1/m1/message/", "duplicate": False},
    )
    [message] = inbox.received
    assert (message.channel_type, message.account) == ("webhook", "hook")
    assert (message.channel_id, message.message_id, message.sender_id) == ("c1", "m1", "ana")
    assert (message.sender_name, message.thread_id, message.content) == ("Ana", "t1", "hello")
    assert (message.is_direct, message.addressed) == (False, False)


async def test_what_is_not_given_has_its_default(
    listener: WebhookListener, inbox: FakeInbox
) -> None:
    await listener.receive_hook(signed({**HELLO, "later": {"un": "known"}}), inbox)
    [message] = inbox.received
    assert (message.is_direct, message.addressed, message.thread_id) == (True, True, None)


async def test_a_repeat_within_the_window_is_a_duplicate(
    listener: WebhookListener, inbox: FakeInbox
) -> None:
    request = signed(HELLO)
    await listener.receive_hook(request, inbox)
    again = await listener.receive_hook(request, inbox)
    assert (again.status, read(again)) == (202, {"id": "c1/m1/message/", "duplicate": True})
    assert len(inbox.received) == 1


async def test_the_signature_is_the_documented_one(
    listener: WebhookListener, inbox: FakeInbox
) -> None:
    request = signed(HELLO)
    timestamp = str(int(time.time()))
    text = timestamp.encode() + b"." + request.body
    digest = hmac.new(b"a secret of both sides", text, hashlib.sha256).hexdigest()
    headers = {"x-sigil-timestamp": timestamp, "x-sigil-signature": f"sha256={digest}"}
    response = await listener.receive_hook(replace(request, headers=headers), inbox)
    assert response.status == 202


def forge(name: str) -> Any:
    request, now = signed(HELLO), time.time()
    headers = dict(request.headers)
    match name:
        case "no headers":
            return replace(request, headers={})
        case "no timestamp":
            return replace(request, headers={**headers, "x-sigil-timestamp": ""})
        case "no signature":
            return replace(request, headers={**headers, "x-sigil-signature": ""})
        case "another body":
            return replace(request, body=request.body + b" ")
        case "another secret":
            return signed(HELLO, secret="guessed")
        case "another timestamp":
            return replace(request, headers={**headers, "x-sigil-timestamp": str(int(now) - 9)})
        case "an old request":
            return signed(HELLO, at=now - 310)
        case "a request of the future":
            return signed(HELLO, at=now + 310)
        case "no prefix":
            bare = headers["x-sigil-signature"].removeprefix("sha256=")
            return replace(request, headers={**headers, "x-sigil-signature": bare})
        case "strange letters":
            return replace(request, headers={**headers, "x-sigil-signature": "sha256=\udcff\u00e9"})
        case "a timestamp in other digits":
            return replace(request, headers={**headers, "x-sigil-timestamp": "\u0661\u0662"})
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "no headers",
        "no timestamp",
        "no signature",
        "another body",
        "another secret",
        "another timestamp",
        "an old request",
        "a request of the future",
        "no prefix",
        "strange letters",
        "a timestamp in other digits",
    ],
)
async def test_what_is_not_signed_is_not_read(
    listener: WebhookListener, inbox: FakeInbox, name: str
) -> None:
    response = await listener.receive_hook(forge(name), inbox)
    error = read(response)["error"]
    assert (response.status, error["code"]) == (401, "webhook.signature")
    assert set(error) == {"code", "message", "hint"}
    assert inbox.received == []


async def test_only_post_is_taken(listener: WebhookListener, inbox: FakeInbox) -> None:
    response = await listener.receive_hook(replace(signed(HELLO), method="GET"), inbox)
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        {**HELLO, "text": "\ud800"},
        {**HELLO, "text": ""},
        {**HELLO, "id": ""},
        {**HELLO, "id": None},
        {**HELLO, "id": "x" * 300},
        {**HELLO, "sender": "a\nb"},
        {**HELLO, "text": "x" * 100_000},
        {**HELLO, "direct": "perhaps"},
        {**HELLO, "attachments": [{"url": "file:///etc/passwd"}]},
        {**HELLO, "attachments": [{"url": "http://files/x"}] * 11},
    ],
    ids=lambda body: str(body)[:40],
)
async def test_a_body_that_is_no_message_is_refused(
    listener: WebhookListener, inbox: FakeInbox, body: Any
) -> None:
    response = await listener.receive_hook(signed(body), inbox)
    error = read(response)["error"]
    assert response.status == 422
    assert error["message"]
    assert inbox.received == []


async def test_a_store_that_is_full_is_raised(listener: WebhookListener, inbox: FakeInbox) -> None:
    inbox.error = StoreFull("full")
    with pytest.raises(StoreFull):
        await listener.receive_hook(signed(HELLO), inbox)


async def test_files_are_fetched_and_kept(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a.png").respond_with_data(b"picture")
    context = replace(CONTEXT, fetcher=Fetcher(["127.0.0.1"]))
    listener, inbox = WebhookListener(context, make_settings()), FakeInbox()
    file = {"url": httpserver.url_for("/a.png"), "name": "a.png", "mime_type": "image/png"}
    await listener.receive_hook(signed({**HELLO, "text": "", "attachments": [file]}), inbox)
    [message], [(kept, content)] = inbox.received, inbox.files
    assert message.attachments == (kept,)
    assert (kept.name, kept.kind, content) == ("a.png", "image", b"picture")


async def test_a_file_in_a_private_network_is_not_fetched(
    listener: WebhookListener, inbox: FakeInbox, httpserver: HTTPServer
) -> None:
    file = {"url": httpserver.url_for("/secrets"), "name": "a.pdf"}
    response = await listener.receive_hook(signed({**HELLO, "attachments": [file]}), inbox)
    assert (response.status, httpserver.log) == (202, [])
    [message] = inbox.received
    [refused] = message.attachments
    assert message.content == "hello"
    assert refused.url.startswith("refused:")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
near_messages = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.text(max_size=300)
        for name in ("id", "chat", "sender", "text", "thread", "direct", "attachments")
    },
)
hostile_bodies = (
    st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | near_messages.map(lambda value: json.dumps({**HELLO, **value}).encode())
    | st.integers(0, 40).map(lambda at: json.dumps(HELLO).encode()[:at])
)


@settings(
    max_examples=HOSTILE_BODIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=hostile_bodies, is_signed=st.booleans())
async def test_a_hostile_body_is_never_our_fault(
    listener: WebhookListener, body: bytes, is_signed: bool
) -> None:
    inbox = FakeInbox()
    request = signed(body, secret="guessed")
    if is_signed:
        request = signed(body)
    response = await listener.receive_hook(request, inbox)
    assert response.status in ({202, 422} if is_signed else {401})
    assert len(inbox.received) == (1 if response.status == 202 else 0)
    assert b"Traceback" not in response.body
