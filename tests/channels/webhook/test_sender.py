"""What reaches a program's callback, and what follows from its answers."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sigil.channels.base import Chunk, Rendered
from sigil.channels.webhook.listener import WebhookListener
from sigil.channels.webhook.sender import WebhookSender
from sigil.channels.webhook.signature import check_signature
from sigil.errors import AccountRefused, SendFailed, SendRefused
from sigil.messages.exchange import OutboundMessage
from tests.channels.webhook.conftest import CONTEXT, SECRET, make_settings
from tests.http.server import Connection, run_server

REPLY = OutboundMessage("webhook", "c1", "hello", "t1", account="hook", answers=("m0", "m1"))
CHUNK = Chunk("out-1.0", REPLY, final=False)


@pytest.fixture
async def sender(httpserver: HTTPServer) -> AsyncIterator[WebhookSender]:
    made = WebhookSender(CONTEXT, make_settings(callback_url=httpserver.url_for("/replies")))
    yield made
    await made.close()
    await made.close()


async def test_a_reply_is_posted_and_signed(sender: WebhookSender, httpserver: HTTPServer) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        return Response(status=204)

    httpserver.expect_request("/replies", "POST").respond_with_handler(answer)
    assert await sender.send(CHUNK) == "out-1.0"
    [request] = seen
    body = request.get_data()
    headers = {name.lower(): value for name, value in request.headers.items()}
    check_signature(SECRET, headers, body, time.time())
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "id": "out-1.0",
        "chat": "c1",
        "thread": "t1",
        "text": "hello",
        "final": False,
        "in_reply_to": "m1",
    }


async def test_a_notice_answers_nothing_and_shows_what_was_rendered(
    sender: WebhookSender, httpserver: HTTPServer
) -> None:
    notice = OutboundMessage("webhook", "c1", "source", account="hook")
    httpserver.expect_oneshot_request("/replies").respond_with_data(status=200)
    await sender.send(Chunk("out-2.0", notice, rendered=Rendered("shown")))
    body = json.loads(httpserver.log[0][0].get_data())
    assert (body["text"], body["in_reply_to"], body["thread"]) == ("shown", None, None)
    assert body["final"] is True


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (409, None),
        (301, AccountRefused),
        (308, AccountRefused),
        (401, AccountRefused),
        (403, AccountRefused),
        (404, AccountRefused),
        (405, AccountRefused),
        (400, SendRefused),
        (410, SendRefused),
        (413, SendRefused),
        (422, SendRefused),
        (408, SendFailed),
        (425, SendFailed),
        (429, SendFailed),
        (500, SendFailed),
        (503, SendFailed),
    ],
)
async def test_each_status_has_its_class(
    sender: WebhookSender, httpserver: HTTPServer, status: int, kind: type[Exception] | None
) -> None:
    elsewhere = httpserver.url_for("/elsewhere")
    headers = {"Location": elsewhere, "Retry-After": "7"}
    httpserver.expect_request("/replies").respond_with_data(status=status, headers=headers)
    httpserver.expect_request("/elsewhere").respond_with_data(status=200)
    if kind is None:
        assert await sender.send(CHUNK) == CHUNK.id
        return
    with pytest.raises(kind) as raised:
        await sender.send(CHUNK)
    assert type(raised.value) is kind
    assert [request.path for request, _ in httpserver.log] == ["/replies"]
    assert SECRET not in str(raised.value)
    match raised.value:
        case AccountRefused():
            assert raised.value.hint is not None
        case SendFailed():
            assert raised.value.retry_after == 7
            assert raised.value.outcome_unknown is (status == 500)
            assert raised.value.rests_account is (status in {429, 503})
        case SendRefused():
            assert raised.value.closes_chat is (status == 410)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("soon", None, None),
        ("9" * 400, 1e8, 1e9),
        ("\u0661", None, None),
    ],
)
async def test_a_strange_pause_is_no_fault(
    sender: WebhookSender, httpserver: HTTPServer, text: str, least: float, most: float
) -> None:
    headers = {"Retry-After": text} if text.isascii() else {}
    httpserver.expect_request("/replies").respond_with_data(status=503, headers=headers)
    with pytest.raises(SendFailed) as raised:
        await sender.send(CHUNK)
    pause = raised.value.retry_after
    assert pause is None if least is None else least <= pause <= most


async def test_nobody_there_is_known_not_to_have_taken_it(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    sender = WebhookSender(CONTEXT, make_settings(callback_url=url))
    with pytest.raises(SendFailed) as raised:
        await sender.send(CHUNK)
    assert raised.value.outcome_unknown is False
    await sender.close()


async def test_a_cut_answer_leaves_the_outcome_unknown() -> None:
    async def cut(connection: Connection) -> None:
        raise ConnectionError

    async with run_server(cut) as server:
        sender = WebhookSender(CONTEXT, make_settings(callback_url=server.url()))
        with pytest.raises(SendFailed) as raised:
            await sender.send(CHUNK)
        assert raised.value.outcome_unknown is True
        await sender.close()


async def test_without_a_callback_nothing_can_be_delivered() -> None:
    with pytest.raises(SendRefused, match=r"channels\.hook\.callback_url"):
        await WebhookSender(CONTEXT, make_settings()).send(CHUNK)


async def test_checking_says_what_is_wrong(httpserver: HTTPServer, unused_tcp_port: int) -> None:
    url = httpserver.url_for("/replies")
    httpserver.expect_oneshot_request("/replies", "OPTIONS").respond_with_data(status=405)
    [fine] = await WebhookListener(CONTEXT, make_settings(callback_url=url)).check()
    httpserver.expect_oneshot_request("/replies").respond_with_data(status=301)
    [moved] = await WebhookListener(CONTEXT, make_settings(callback_url=url)).check()
    away = f"http://127.0.0.1:{unused_tcp_port}/"
    [gone] = await WebhookListener(CONTEXT, make_settings(callback_url=away)).check()
    [none] = await WebhookListener(CONTEXT, make_settings()).check()
    assert [check.ok for check in (fine, moved, gone, none)] == [True, False, False, True]
    assert moved.hint
    assert gone.hint
