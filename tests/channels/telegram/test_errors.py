"""Every error body has its class."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.channels.telegram import errors
from sigil.channels.telegram.errors import read_answer
from sigil.errors import (
    AccountRefused,
    ChannelError,
    ChatMoved,
    MarkupRefused,
    MediaRefused,
    SendFailed,
    SendRefused,
)

BAD, NEVER, FILE = MarkupRefused, SendRefused, MediaRefused
CLASSES = [
    ("Bad Request: can't parse entities: unsupported start tag", 400, BAD),
    ("Bad Request: RICH_MESSAGE_BLOCK_INVALID", 400, BAD),
    ("Bad Request: ENTITY_BOUNDS_INVALID", 400, BAD),
    ("Bad Request: quote text not found", 400, errors.ReplyRefused),
    ("Bad Request: message to be replied not found", 400, errors.ReplyRefused),
    ("Bad Request: something new in 11.0", 400, BAD),
    ("Bad Request: message thread not found", 400, NEVER),
    ("Bad Request: message is too long", 400, NEVER),
    ("Bad Request: message text is empty", 400, NEVER),
    ("Bad Request: chat not found", 400, NEVER),
    ("Bad Request: not enough rights to send text messages to the chat", 400, NEVER),
    ("Bad Request: file is too big", 400, FILE),
    ("Bad Request: wrong file_id or the file is temporarily unavailable", 400, FILE),
    ("Request Entity Too Large", 413, FILE),
    ("Bad Request: message is not modified: specified new …", 400, errors.NothingChanged),
    ("Bad Request: message to edit not found", 400, errors.EditRefused),
    ("Unauthorized", 401, AccountRefused),
    ("Not Found", 404, AccountRefused),
    ("Conflict: terminated by other getUpdates request", 409, errors.PollRefused),
    ("Forbidden: something new", 403, NEVER),
]


def refuse(status: int, description: str, **parameters: Any) -> ChannelError:
    body = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return fail(status, json.dumps(body).encode())


def fail(status: int, body: bytes) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        read_answer(status, body)
    return caught.value


@pytest.mark.parametrize(("text", "status", "kind"), CLASSES)
def test_classes(text: str, status: int, kind: type[ChannelError]) -> None:
    found = refuse(status, text)
    assert type(found) is kind
    assert not getattr(found, "closes_chat", False)


@pytest.mark.parametrize(
    "text",
    [
        "bot was blocked by the user",
        "user is deactivated",
        "bot was kicked from the supergroup chat",
        "bot is not a member of the channel chat",
        "the group chat was deleted",
        "bot can't initiate conversation with a user",
    ],
)
def test_a_chat_that_is_closed(text: str) -> None:
    found = refuse(403, f"Forbidden: {text}")
    assert isinstance(found, SendRefused)
    assert found.closes_chat


def test_a_wait_is_kept_to_the_letter() -> None:
    found = refuse(429, "Too Many Requests: retry after 27", retry_after=27)
    assert isinstance(found, SendFailed)
    assert (found.retry_after, found.rests_account, found.outcome_unknown) == (27, False, False)


@pytest.mark.parametrize("body", [b"", b"<html>slow down</html>"])
def test_a_proxys_429_rests_the_account(body: bytes) -> None:
    found = fail(429, body)
    assert isinstance(found, SendFailed)
    assert (found.retry_after, found.rests_account) == (errors.PROXY_REST_S, True)


def test_a_group_that_moved() -> None:
    found = refuse(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        migrate_to_chat_id=-1001234567890,
    )
    assert isinstance(found, ChatMoved)
    assert found.channel_id == "-1001234567890"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"ok":false,"error_code":500,"description":"Internal Server Error: restart"}'),
        (502, b"<html>"),
        (200, b"<html>"),
        (200, b'{"ok":true}'),
        (200, b"[]"),
        (200, b"[" * 10_000),
    ],
)
def test_what_may_have_been_done(status: int, body: bytes) -> None:
    found = fail(status, body)
    assert isinstance(found, SendFailed)
    assert found.outcome_unknown


@pytest.mark.parametrize("status", [302, 401, 404, 418])
def test_what_no_bot_api_server_wrote(status: int) -> None:
    found = fail(status, b"<html>secret words</html>")
    assert isinstance(found, AccountRefused)
    assert "secret words" not in str(found)
    assert found.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    status=st.integers(200, 599),
    ok=JSON,
    code=JSON,
    description=JSON,
    parameters=JSON | st.fixed_dictionaries({"retry_after": JSON, "migrate_to_chat_id": JSON}),
)
def test_any_answer_is_a_result_or_an_error_of_ours(
    status: int, ok: object, code: object, description: object, parameters: object
) -> None:
    body = {"ok": ok, "error_code": code, "description": description, "parameters": parameters}
    with contextlib.suppress(ChannelError):
        read_answer(status, json.dumps(body).encode())
