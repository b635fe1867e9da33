"""Hostile requests through `/hooks/NAME` of each channel that has hooks: never a 5xx, and never a
message without a proof.

SIGIL_HOSTILE_BODIES says how many each of them gets; `make hostile` sends 10,000.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigil.channels.base import Acceptance
from sigil.channels.telegram.listener import HOOK_HEADER
from sigil.channels.telegram.payloads import ALLOWED_UPDATES
from sigil.channels.webhook.signature import sign
from sigil.messages.exchange import InboundMessage
from tests.channels.telegram.case import make_quick_bot
from tests.channels.telegram.conftest import PAYLOADS
from tests.peers.telegram import TOKEN, serve
from tests.web.serving import Serve, Served

BODIES = int(os.environ.get("SIGIL_HOSTILE_BODIES", "150"))
SECRET = "a-secret-of-both-sides"
HELLO = {"id": "m1", "chat": "c1", "sender": "ana", "text": "hello"}
# Without files: those are fetched from the platform, several times if they are not there.
TEXTS = [file.read_text() for file in sorted(PAYLOADS.glob("*.json"))]
UPDATES = [json.loads(text) for text in TEXTS if '"file_id"' not in text]

hostile = settings(
    max_examples=BODIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, sound: list[Any]) -> bytes:
    """One of the sound bodies with a value in it replaced or left out, or cut off."""
    body = copy.deepcopy(draw(st.sampled_from(sound)))
    at, depth = body, draw(st.integers(0, 5))
    while isinstance(at, dict) and at:
        key = draw(st.sampled_from(sorted(at)))
        if depth > 0 and isinstance(at[key], dict) and at[key]:
            at, depth = at[key], depth - 1
            continue
        if draw(st.booleans()):
            del at[key]
        else:
            at[key] = draw(json_values | st.text(max_size=5000))
        break
    raw = json.dumps(body).encode()
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw


def bodies(sound: list[Any]) -> st.SearchStrategy[bytes]:
    return (
        damaged(sound)
        | st.sampled_from(sound).map(lambda value: json.dumps(value).encode())
        | json_values.map(lambda value: json.dumps(value).encode())
        | st.binary(max_size=300)
        | st.integers(1, 60_000).map(lambda depth: b'{"message":' * depth)
    )


@dataclass
class Hooked:
    """A gateway whose accepted messages are counted."""

    served: Served
    received: list[InboundMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        receive = self.served.gateway.receive

        async def count(message: InboundMessage) -> Acceptance:
            acceptance = await receive(message)
            self.received.append(message)
            return acceptance

        self.served.gateway.receive = count  # type: ignore[method-assign]

    async def call(self, name: str, method: str, body: bytes, headers: dict[str, str]) -> int:
        """The status, after what it may be in any case was checked."""
        self.received.clear()
        answer = await self.served.http.request(
            method, f"/hooks/{name}", content=body, headers=headers
        )
        assert answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        assert SECRET not in answer.text
        return answer.status_code


@pytest.fixture
async def hooked(serve: Serve) -> AsyncIterator[Hooked]:
    async with serve_telegram() as url:
        channels = {
            "telegram": {"token": TOKEN, "mode": "webhook", "secret": SECRET, "base_url": url},
            "hook": {"type": "webhook", "secret": SECRET},
        }
        public = {"public_url": "https://sigil.example.org"}
        yield Hooked(await serve(channels=channels, gateway=public))


@contextlib.asynccontextmanager
async def serve_telegram() -> AsyncIterator[str]:
    async with serve(make_quick_bot()) as server:
        yield server.url


def forge(kind: str, body: bytes) -> dict[str, str]:
    """Headers that look like a proof."""
    now = int(time.time())
    match kind:
        case "none":
            return {}
        case "another secret":
            return sign("guessed", now, body) | {HOOK_HEADER: "guessed"}
        case "another body":
            return sign(SECRET, now, body + b" ") | {HOOK_HEADER: SECRET[:-1]}
        case "an old one":
            return sign(SECRET, now - 301, body) | {HOOK_HEADER: SECRET + " x"}
        case "half of it":
            whole = sign(SECRET, now, body)
            return {name: text[:40] for name, text in whole.items()} | {HOOK_HEADER: ""}
        case _:
            raise AssertionError(kind)


forgeries = st.sampled_from(["none", "another secret", "another body", "an old one", "half of it"])


@pytest.mark.timeout(60 + BODIES / 20)
@hostile
@given(body=bodies([HELLO]), forgery=forgeries, method=st.sampled_from(["POST", "PUT", "GET"]))
async def test_a_webhook_takes_nothing_unsigned(
    hooked: Hooked, body: bytes, forgery: str, method: str
) -> None:
    status = await hooked.call("hook", method, body, forge(forgery, body))
    assert status == (401 if method == "POST" else 405)
    assert not hooked.received


@pytest.mark.timeout(60 + BODIES / 20)
@hostile
@given(body=bodies([HELLO]))
async def test_a_webhook_takes_only_messages(hooked: Hooked, body: bytes) -> None:
    status = await hooked.call("hook", "POST", body, sign(SECRET, int(time.time()), body))
    assert status in {202, 422}
    assert len(hooked.received) == (status == 202)
    for message in hooked.received:
        posted = json.loads(body)
        assert is_same(message.channel_id, posted["chat"])
        assert is_same(message.message_id, posted["id"])
        assert is_same(message.sender_id, posted["sender"])
        assert is_same(message.content, posted["text"])


def is_same(text: str, posted: object) -> bool:
    """A number counts as its text, whatever its form."""
    return text == posted if isinstance(posted, str) else type(posted) in {int, float}


@pytest.mark.timeout(60 + BODIES / 20)
@hostile
@given(body=bodies(UPDATES), forgery=forgeries, method=st.sampled_from(["POST", "PUT", "GET"]))
async def test_telegrams_hook_takes_nothing_without_the_secret(
    hooked: Hooked, body: bytes, forgery: str, method: str
) -> None:
    assert await hooked.call("telegram", method, body, forge(forgery, body)) == 401
    assert not hooked.received


@pytest.mark.timeout(60 + BODIES / 20)
@hostile
@given(body=bodies(UPDATES))
async def test_telegrams_hook_takes_only_updates(hooked: Hooked, body: bytes) -> None:
    status = await hooked.call("telegram", "POST", body, {HOOK_HEADER: SECRET})
    assert status in {200, 400}
    if hooked.received:
        assert status == 200
        assert json.loads(body).keys() & set(ALLOWED_UPDATES)
