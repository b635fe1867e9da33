"""The generic webhook through the gateway's door: a message in, its reply at the callback."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from sigil.channels.webhook.signature import check_signature, sign
from tests.web.serving import Serve, Served

SECRET = "a secret of both sides"
HELLO = {"id": "m1", "chat": "c1", "sender": "ana", "text": "hello"}
HOSTILE_BODIES = int(os.environ.get("SIGIL_HOSTILE_BODIES", "200"))


@pytest.fixture
async def hooked(serve: Serve, httpserver: HTTPServer) -> Served:
    url = httpserver.url_for("/replies")
    entry = {"type": "webhook", "secret": SECRET, "callback_url": url, "pairing": "open"}
    return await serve(channels={"hook": entry})


async def post(served: Served, body: bytes, *, secret: str = SECRET) -> Any:
    headers = sign(secret, int(time.time()), body)
    return await served.http.post("/hooks/hook", content=body, headers=headers)


async def count(served: Served, what: str) -> int:
    days = await served.gateway.stores.lanes.counts()
    return sum(day.get(what, 0) for day in days.values())


async def test_a_message_is_answered_at_the_callback(
    hooked: Served, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/replies", "POST").respond_with_data(status=204)
    body = json.dumps(HELLO).encode()
    first, again = await post(hooked, body), await post(hooked, body)
    assert (first.status_code, first.json()["duplicate"]) == (202, False)
    assert (again.status_code, again.json()["duplicate"]) == (202, True)
    await hooked.settle()
    [(request, _)] = httpserver.log
    headers = {name.lower(): value for name, value in request.headers.items()}
    check_signature(SECRET, headers, request.get_data(), time.time())
    reply = json.loads(request.get_data())
    assert (reply["chat"], reply["in_reply_to"], reply["final"]) == ("c1", "m1", True)
    assert "hello" in reply["text"]


async def test_what_is_not_signed_is_told_so(hooked: Served) -> None:
    answer = await post(hooked, json.dumps(HELLO).encode(), secret="guessed")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "webhook.signature")
    assert await count(hooked, "accepted") == 0


@settings(
    max_examples=HOSTILE_BODIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.binary(max_size=200) | st.text().map(str.encode), is_signed=st.booleans())
async def test_a_hostile_body_gets_no_further(hooked: Served, body: bytes, is_signed: bool) -> None:
    answer = await post(hooked, body, secret=SECRET if is_signed else "guessed")
    assert answer.status_code == (422 if is_signed else 401)
    assert await count(hooked, "accepted") == 0
