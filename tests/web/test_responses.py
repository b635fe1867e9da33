"""Bodies that are refused, and how the client is told."""

import json
from typing import Any

import pytest

from sigil.web.responses import MAX_BODY_BYTES
from tests.web.serving import Served, typed


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not valid JSON"),
        (b"{", 400, "not valid JSON"),
        (b"[" * 100_000, 400, "not valid JSON"),
        (b'{"text": "\xff\xfe", "message_id": "12345678"}', 400, "not valid UTF-8"),
        (b'{"text": "\\ud800", "message_id": "12345678"}', 422, "text"),
        (b'{"text": "", "message_id": "12345678"}', 422, "text"),
        (b'{"text": 7, "message_id": "12345678"}', 422, "text"),
        (b'{"message_id": "12345678"}', 422, "text"),
        (b'{"text": "x"}', 422, "message_id"),
        (b'{"text": "x", "message_id": "a b c d e f"}', 422, "message_id"),
        (b'{"text": "x", "message_id": "12345678\\n"}', 422, "message_id"),
        (b'{"text": "x", "message_id": "' + b"y" * 65 + b'"}', 422, "message_id"),
        (b'{"text": "x", "message_id": "12345678", "role": "system"}', 422, "role"),
        (b'"text"', 422, "the body"),
        (b"null", 422, "the body"),
    ],
)
async def test_a_bad_body_is_explained(served: Served, body: bytes, status: int, says: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await served.http.post("/api/chats/abc/messages", content=body, headers=headers)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    assert (await served.http.get("/api/chats")).json() == {"chats": []}


@pytest.mark.parametrize("announced", [True, False])
async def test_a_megabyte_is_too_large(served: Served, announced: bool) -> None:
    body = json.dumps(typed("x" * 1_000_000)).encode()
    assert len(body) > MAX_BODY_BYTES

    async def pieces() -> Any:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    headers = {"Content-Type": "application/json"}
    content = body if announced else pieces()
    answer = await served.http.post("/api/chats/abc/messages", content=content, headers=headers)
    assert answer.status_code == 413
    assert "smaller parts" in answer.json()["error"]["message"]


async def test_a_form_is_not_json(served: Served) -> None:
    answer = await served.http.post("/api/chats/abc/messages", data={"text": "x"})
    assert answer.status_code == 415
