"""Platforms call hooks: who may, how much, and what they are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from sigil.channels.base import (
    AccountContext,
    ChannelSpec,
    ChannelType,
    HookRequest,
    HookResponse,
    Inbox,
)
from sigil.errors import (
    LeaseLost,
    MessageInvalid,
    RecordTooNew,
    SendFailed,
    StoreError,
    StoreFull,
)
from sigil.http.signatures import is_same_secret
from sigil.messages.exchange import InboundMessage
from sigil.web.hooks import routes
from tests.web.serving import TOKEN, Serve, Served

LARGEST = 3 * 1024 * 1024
SECRET = "the platform knows it"
HEADERS = {"X-Secret": SECRET}


class Body(BaseModel):
    id: int
    text: str


class HookedType(ChannelType):
    spec = ChannelSpec(largest_hook=LARGEST)
    sender = "sigil.channels.memory.channel:make_memory_channel"
    listener = f"{__name__}:HookedListener"


class HookedListener:
    """A platform that signs by a secret, and asks for a word at first."""

    def __init__(self, context: AccountContext, settings: object) -> None:
        self.name = context.name
        self.hook_url = context.hook_url
        self.fail: Callable[[], object] = lambda: None
        self.requests: list[HookRequest] = []

    async def listen(self, inbox: Inbox) -> None: ...

    async def close(self) -> None: ...

    async def receive_hook(self, request: HookRequest, inbox: Inbox) -> HookResponse:
        self.requests.append(request)
        if request.method == "GET":
            return HookResponse(body=request.query["challenge"].encode())
        if not is_same_secret(request.headers.get("x-secret"), SECRET):
            return HookResponse(401, b"who are you?")
        self.fail()
        body = Body.model_validate(json.loads(request.body))
        message = InboundMessage(
            channel_type=self.name,
            channel_id="chat",
            message_id=str(body.id),
            sender_id="ann",
            content=body.text,
        )
        accepted = await inbox.receive(message)
        return HookResponse(202, json.dumps({"id": accepted.id}).encode(), "application/json")


@pytest.fixture
async def hooked(serve: Serve) -> Served:
    url = "https://sigil.example.org/"
    channels = {"hooked": {"type": f"{__name__}:HookedType"}}
    return await serve(channels=channels, gateway={"public_url": url})


def listener_of(served: Served) -> Any:
    return served.gateway.channels.find_entry("hooked").listener


def fail(error: Exception) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


async def accepted(served: Served) -> int:
    days = await served.gateway.stores.lanes.counts()
    return sum(day.get("accepted", 0) for day in days.values())


async def test_a_hook_is_answered_once_what_it_brought_is_accepted(hooked: Served) -> None:
    body = {"id": 1, "text": "hello"}
    answer = await hooked.http.post("/hooks/hooked", json=body, headers=HEADERS)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert await accepted(hooked) == 1
    assert listener_of(hooked).hook_url == "https://sigil.example.org/hooks/hooked"


async def test_a_platform_may_ask_who_we_are(hooked: Served) -> None:
    answer = await hooked.http.get("/hooks/hooked?challenge=%3Cb%3E7")
    assert (answer.status_code, answer.text) == (200, "<b>7")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "sigil.example.org"},
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_the_rules_of_the_page_are_not_those_of_hooks(
    hooked: Served, headers: dict[str, str]
) -> None:
    body = {"id": 1, "text": "hello"}
    answer = await hooked.http.post("/hooks/hooked", json=body, headers=HEADERS | headers)
    assert answer.status_code == 202
    for path in ("/hooks", "/hooksx", "/api/me", "/hooks/../api/me", "/hooks/%2e%2e/api/me"):
        answer = await hooked.http.get(path, headers={"Host": "sigil.example.org"})
        assert answer.status_code in {403, 404}
        assert "owner" not in answer.text


async def test_hooks_need_no_sign_in(serve: Serve) -> None:
    channels = {"hooked": {"type": f"{__name__}:HookedType"}}
    served = await serve(channels=channels, gateway={"token": TOKEN})
    body = {"id": 1, "text": "hello"}
    answer = await served.http.post("/hooks/hooked", json=body, headers=HEADERS)
    assert answer.status_code == 202


@pytest.mark.parametrize("name", ["web", "memory", "nobody", "hooked%2Fx", "%00"])
async def test_there_are_no_other_hooks(hooked: Served, name: str) -> None:
    assert (await hooked.http.post(f"/hooks/{name}", content=b"x")).status_code == 404


async def test_a_method_that_no_platform_uses_is_refused(hooked: Served) -> None:
    assert (await hooked.http.delete("/hooks/hooked")).status_code == 405


@pytest.mark.parametrize("announced", [True, False])
async def test_the_channel_says_how_large_a_body_may_be(hooked: Served, announced: bool) -> None:
    async def pieces(size: int) -> Any:
        for at in range(0, size, 65_536):
            yield b"x" * min(65_536, size - at)

    def make(size: int) -> Any:
        return b"x" * size if announced else pieces(size)

    answer = await hooked.http.post("/hooks/hooked", content=make(LARGEST + 1), headers=HEADERS)
    assert answer.status_code == 413
    assert listener_of(hooked).requests == []
    answer = await hooked.http.post("/hooks/hooked", content=make(LARGEST), headers=HEADERS)
    assert answer.status_code == 400
    assert len(listener_of(hooked).requests[0].body) == LARGEST


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"id": "x"}', b"[" * 200_000),
        *(b'{"id": 1, "text": ""}', b'{"id": 1, "text": "\\ud800"}', b'{"id": 1e999}'),
    ],
)
async def test_a_body_that_makes_no_sense_is_the_senders_fault(hooked: Served, body: bytes) -> None:
    answer = await hooked.http.post("/hooks/hooked", content=body, headers=HEADERS)
    assert answer.status_code == 400
    assert await accepted(hooked) == 0


@pytest.mark.parametrize(
    "error",
    [
        StoreError("redis://user:password@host does not answer."),
        StoreFull("it is full."),
        LeaseLost("another process has it."),
        RecordTooNew("it is too new."),
        SendFailed("the platform gave no file."),
        TimeoutError(),
    ],
)
async def test_what_fails_on_our_side_is_asked_for_again(hooked: Served, error: Exception) -> None:
    listener_of(hooked).fail = fail(error)
    answer = await hooked.http.post("/hooks/hooked", content=b"{}", headers=HEADERS)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "password" not in answer.text


async def test_a_message_that_is_over_a_bound_is_the_senders_fault(hooked: Served) -> None:
    listener_of(hooked).fail = fail(MessageInvalid("content has too many bytes."))
    answer = await hooked.http.post("/hooks/hooked", content=b"{}", headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "message.invalid")


async def test_a_bug_tells_a_stranger_nothing(
    hooked: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    listener_of(hooked).fail = fail(KeyError("words that are nobody's business"))
    answer = await hooked.http.post("/hooks/hooked?secret=query", content=b"{}", headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "http.internal")
    assert "words" not in answer.text
    assert "Traceback" not in answer.text
    seen = "".join(capsys.readouterr())
    assert "words" in seen
    assert "query'" not in seen
    assert SECRET not in seen.replace("SECRET = ", "")


async def test_a_listener_that_hangs_is_given_up(
    hooked: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWER_WITHIN_S", 0.05)
    ended = asyncio.Event()

    async def hang(request: HookRequest, inbox: Inbox) -> HookResponse:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    listener_of(hooked).receive_hook = hang
    answer = await hooked.http.post("/hooks/hooked", content=b"{}", headers=HEADERS)
    assert answer.status_code == 503
    assert ended.is_set()


async def test_many_bodies_at_a_time_do_not_fill_the_memory(
    hooked: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_BYTES_AT_ONCE", 2 * len(b"{}"))
    go_on = asyncio.Event()

    async def wait(request: HookRequest, inbox: Inbox) -> HookResponse:
        await go_on.wait()
        return HookResponse()

    listener_of(hooked).receive_hook = wait
    posts = [
        asyncio.create_task(hooked.http.post("/hooks/hooked", content=b"{}")) for _ in range(5)
    ]
    done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result().status_code for task in done} == {503}
    go_on.set()
    statuses = sorted([(await post).status_code for post in posts])
    assert statuses == [200, 200, 503, 503, 503]
    assert (await hooked.http.post("/hooks/hooked", content=b"{}")).status_code == 200


@pytest.mark.parametrize(
    ("given", "expected", "same"),
    [
        ("s", "s", True),
        ("s", b"s", True),
        ("", "", False),
        (None, "", False),
        (None, "s", False),
        ("S", "s", False),
        ("\udc80\ud800", "s", False),
        ("ü", "ü", True),
    ],
)
def test_secrets_are_compared(given: str | None, expected: str | bytes, same: bool) -> None:
    assert is_same_secret(given, expected) is same
