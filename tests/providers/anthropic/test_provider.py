"""What goes over the wire to Anthropic, and what comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from sigil.conversation import Image, Native, Usage
from sigil.errors import ConfigError, ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, ToolCall, ToolDefinition
from sigil.providers.anthropic import AnthropicProvider
from tests.providers.anthropic.server import (
    ANSWER,
    KEY,
    REQUEST_ID,
    AnthropicServer,
    anthropic_server,
    delta,
    event,
    refused,
    start,
    status,
    stop,
    streamed,
    text,
    tool_use,
    whole,
)

COUNTED = Usage(
    input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3, cache_write_tokens=2
)
TOOL = ToolDefinition("get", "Gets it.", {"type": "object", "properties": {"id": {}}})
MARK = {"type": "ephemeral"}
SIGNED = {"type": "thinking", "thinking": "Hm, well.", "signature": "sig=="}


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with anthropic_server() as served:
        yield served


@pytest.fixture
async def provider(server: AnthropicServer) -> AsyncIterator[AnthropicProvider]:
    made = AnthropicProvider(api_key=KEY, base_url=server.url, read_timeout=5)
    yield made
    await made.aclose()


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    fields.setdefault("model", "claude-opus-5-5")
    return ChatRequest(messages=messages or (Message("user", "Hello"),), **fields)


async def collected(provider: AnthropicProvider, *messages: Message, **fields: Any) -> list[Any]:
    return [event async for event in provider.chat(asked(*messages, **fields))]


async def failure(provider: AnthropicProvider, **fields: Any) -> ProviderError:
    last = (await collected(provider, **fields))[-1]
    assert last.type is EventType.ERROR
    assert last.error is not None
    return last.error


async def sent(server: AnthropicServer, request: ChatRequest, **options: Any) -> dict[str, Any]:
    """What a provider with these options sends."""
    options = {"api_key": KEY, "prompt_caching": False} | options
    made = AnthropicProvider(base_url=server.url, **options)
    try:
        assert [e async for e in made.chat(request)][-1].type is EventType.DONE
    finally:
        await made.aclose()
    return server.requests[-1]


# Construction


@pytest.mark.parametrize("key", [None, "", "  "])
def test_an_empty_key_without_an_address_is_refused(key: str | None) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        AnthropicProvider(api_key=key)


@pytest.mark.parametrize("url", ["localhost:1", "ftp://x/v1", "http://", "http://h:port/v1"])
def test_an_address_must_be_http(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        AnthropicProvider(api_key=KEY, base_url=url)


@pytest.mark.parametrize(
    "options",
    [
        {"thinking": 1023},
        {"thinking": True},
        {"thinking": "always"},
        {"thinking": {"type": "adaptive"}},
        {"effort": "lazy"},
    ],
    ids=str,
)
def test_an_option_that_the_api_does_not_know_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"options\.{next(iter(options))}"):
        AnthropicProvider(api_key=KEY, **options)


def test_the_sdk_is_imported_on_first_use_only() -> None:
    code = (
        "import sys; from sigil.providers.anthropic import AnthropicProvider;"
        "AnthropicProvider(api_key='k'); assert not {'anthropic', 'httpx2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_sdk_is_imported_beside_the_loop() -> None:
    code = """
import asyncio, sys, threading
from sigil.providers import ChatRequest, Message
from sigil.providers.anthropic import AnthropicProvider

class Spy:
    found = {}
    def find_spec(self, name, *_):
        self.found.setdefault(name, threading.current_thread())

async def main():
    sys.meta_path.insert(0, Spy())
    provider = AnthropicProvider(base_url="http://127.0.0.1:1")
    for stream in (True, False):
        async for _ in provider.chat(ChatRequest("m", [Message("user", "x")], stream=stream)):
            pass
    await provider.aclose()

asyncio.run(main())
for name in ("anthropic", "httpx2"):
    assert Spy.found[name] is not threading.main_thread(), name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_provider_does_not_show_its_key(provider: AnthropicProvider) -> None:
    assert KEY not in repr(vars(provider))


# The request


async def test_a_request_has_what_was_asked_and_nothing_else(server: AnthropicServer) -> None:
    body = await sent(
        server, asked(system_prompt="Be brief.", max_tokens=99, session="s", user="u")
    )
    assert body == {
        "model": "claude-opus-5-5",
        "max_tokens": 99,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }
    headers = server.headers[-1]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["anthropic-version"] == "2026-10-21"


async def test_nothing_is_taken_from_the_environment(
    server: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-another")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-another")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-leak: leaked\nauthorization: Bearer leaked")
    for key in (KEY, None):
        await sent(server, asked(), api_key=key)
        headers = str(server.headers[-1])
        assert "another" not in headers
        assert "leak" not in headers


async def test_a_server_without_a_key_gets_none_of_ours(
    server: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-another")
    made = AnthropicProvider(base_url=f"{server.url}/v1/")
    assert (await collected(made))[-1].type is EventType.DONE
    assert server.headers[-1]["authorization"] == "Bearer none"
    await made.aclose()


async def test_the_user_is_named_only_if_configured(server: AnthropicServer) -> None:
    body = await sent(server, asked(user="u-1", session="s-1"), send_user_id=True)
    assert body["metadata"] == {"user_id": "u-1"}
    assert "s-1" not in json.dumps(body)


@pytest.mark.parametrize(
    ("model", "options", "given"),
    [
        ("claude-opus-5-5", {}, None),
        ("claude-opus-4-7", {}, None),
        ("claude-fable-5-2", {}, None),
        ("claude-opus-4-6", {}, 1.0),
        ("claude-haiku-4-5-20251001", {}, 1.0),
        ("claude-sonnet-4-5", {}, 1.0),
        ("glm-6", {}, 1.0),
        ("claude-opus-4-6", {"thinking": "adaptive"}, None),
        ("claude-haiku-4-5", {"thinking": 2048}, None),
        ("claude-opus-4-6", {"thinking": "disabled"}, 1.0),
    ],
)
async def test_a_temperature_goes_only_to_a_model_that_takes_it(
    server: AnthropicServer, model: str, options: dict[str, Any], given: float | None
) -> None:
    request = asked(model=model, temperature=1.5, max_tokens=9000)
    assert (await sent(server, request, **options)).get("temperature") == given


async def test_thinking_is_asked_for_as_configured(server: AnthropicServer) -> None:
    request = asked(max_tokens=4096)
    assert (await sent(server, request, thinking="adaptive", effort="low")).items() >= {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
    }.items()
    budget = {"type": "enabled", "budget_tokens": 2048}
    assert (await sent(server, request, thinking=2048))["thinking"] == budget
    short = await sent(server, replace(request, max_tokens=2000), thinking=2048)
    assert short["thinking"]["budget_tokens"] == 1999
    assert "thinking" not in await sent(server, replace(request, max_tokens=900), thinking=2048)


async def test_pictures_are_addressed_or_sent_along(server: AnthropicServer) -> None:
    data = base64.b64encode(b"png").decode()
    images = (
        Image("https://x.test/a.png"),
        Image(f"data:image/jpg;base64,{data}"),
        Image("data:,p%20ng", "image/png"),
    )
    body = await sent(server, asked(Message("user", "What?", images=images)))
    sources = [block["source"] for block in body["messages"][0]["content"][:3]]
    assert sources == [
        {"type": "url", "url": "https://x.test/a.png"},
        {"type": "base64", "media_type": "image/jpeg", "data": data},
        {
            "type": "base64",
            "media_type": "image/png",
            "data": base64.b64encode(b"p ng").decode(),
        },
    ]
    assert body["messages"][0]["content"][3] == {"type": "text", "text": "What?"}


async def test_another_vendors_calls_are_told_in_the_neutral_form(server: AnthropicServer) -> None:
    calls = (ToolCall("call.1", "cal.get", {"a": 1}), ToolCall("call.2", "cal_get"))
    foreign = Native("openai.chat", "claude-opus-5-5", "{}")
    body = await sent(
        server,
        asked(
            Message("user", "Two things"),
            Message("user", "now"),
            Message("assistant", "Well", tool_calls=calls, native=foreign),
            Message("tool", "one", tool_call_id="call.1"),
            Message("tool", " ", tool_call_id="call.2"),
            Message("user", "And?"),
            tools=(ToolDefinition("cal.get"), ToolDefinition("cal_get", "Other")),
        ),
    )
    assert body["messages"] == [
        {"role": "user", "content": [_said("Two things"), _said("now")]},
        {
            "role": "assistant",
            "content": [
                _said("Well"),
                {"type": "tool_use", "id": "call_1", "name": "cal_get", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "cal_get_2", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "call_2"},
                _said("And?"),
            ],
        },
    ]
    assert body["tools"][0] == {
        "name": "cal_get",
        "description": "",
        "input_schema": {"type": "object", "properties": {}},
    }
    assert body["tool_choice"] == {"type": "auto"}


async def test_an_empty_history_entry_breaks_no_rule(server: AnthropicServer) -> None:
    messages = (Message("user", "a"), Message("assistant", " "), Message("user", ""))
    body = await sent(server, asked(*messages))
    assert body["messages"] == [{"role": "user", "content": [_said("a"), _said("(no text)")]}]


def _said(what: str) -> dict[str, str]:
    return {"type": "text", "text": what}


# Prompt caching


async def test_what_is_worth_caching_is_marked_four_times_at_most(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    history = [Message("user", "a"), Message("assistant", "b")] * 5
    tools = (TOOL, replace(TOOL, name="put"))
    await collected(provider, *history, Message("user", "c"), tools=tools, system_prompt="s")
    body = server.requests[-1]
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, MARK]
    assert body["system"][0]["cache_control"] == MARK
    marked = [m["content"][-1].get("cache_control") for m in body["messages"]]
    assert marked == [None] * 8 + [MARK, None, MARK]
    assert json.dumps(body).count("cache_control") == 4


# Answers


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_text_then_usage_then_the_end(
    server: AnthropicServer, provider: AnthropicProvider, stream: bool
) -> None:
    server.replies = [ANSWER if stream else whole(_said("Hi there"))]
    events = await collected(provider, stream=stream)
    assert "".join(e.text for e in events) == "Hi there"
    assert events[-2:] == [
        ChatEvent(EventType.USAGE, usage=COUNTED),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_and_thoughts_come_back_as_they_were_given(
    server: AnthropicServer, provider: AnthropicProvider, stream: bool
) -> None:
    hidden = {"type": "redacted_thinking", "data": "EuYB"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "a_get", "input": {"id": 7}}
    content = [SIGNED, hidden, _said("Let me see."), use]
    if stream:
        thinking = {"type": "thinking", "thinking": "", "signature": ""}
        events = [
            start(),
            event("content_block_start", index=0, content_block=thinking),
            delta(0, "thinking_delta", "thinking", "Hm, "),
            delta(0, "thinking_delta", "thinking", "well."),
            delta(0, "signature_delta", "signature", "sig=="),
            event("content_block_stop", index=0),
            event("content_block_start", index=1, content_block=hidden),
            text("Let me", " see.", index=2),
            tool_use(3, '{"id"', ": 7}", name="a_get"),
            event("of_a_later_version", index=9),
            delta(2, "of_a_later_version", "x", 1),
        ]
        server.replies = [streamed(*events, stop("tool_use")), ANSWER]
    else:
        server.replies = [whole(*content, reason="tool_use"), ANSWER]
    tools = (replace(TOOL, name="a.get"),)
    events = await collected(provider, tools=tools, stream=stream)
    call = ToolCall("toolu_1", "a.get", {"id": 7})
    assert [e.tool_call for e in events if e.tool_call] == [call]
    done = events[-1]
    assert done.stop_reason == "tool_calls"
    assert done.native is not None
    assert (done.native.api, done.native.model) == ("anthropic", "claude-opus-5-5")
    assert json.loads(done.native.content) == content

    answered = Message("assistant", "Let me see.", tool_calls=(call,), native=done.native)
    turn = (Message("user", "Hello"), answered, Message("tool", "7!", tool_call_id="toolu_1"))
    await collected(provider, *turn, tools=tools)
    assert server.requests[-1]["messages"][1] == {"role": "assistant", "content": content}

    later = (*turn, Message("assistant", "It is 7."), Message("user", "Thanks"))
    await collected(provider, *later, tools=tools)
    assert server.requests[-1]["messages"][1]["content"] == content[2:], "thoughts of a past turn"

    await collected(provider, *turn, tools=tools, model="claude-sonnet-5-5")
    assert server.requests[-1]["messages"][1]["content"] == content[2:], "another model's"


async def test_thoughts_that_are_refused_are_left_out(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {}}
    native = Native("anthropic", "claude-opus-5-5", json.dumps([SIGNED, use]))
    calls = (ToolCall("toolu_1", "get"),)
    turn = (
        Message("user", "Hello"),
        Message("assistant", tool_calls=calls, native=native),
        Message("tool", "7", tool_call_id="toolu_1"),
    )
    wrong = refused(400, "invalid_request_error", "messages.1: Invalid `signature` in `thinking`")
    server.replies = [wrong, ANSWER]
    assert (await collected(provider, *turn, tools=(TOOL,)))[-1].type is EventType.DONE
    kinds = [[b["type"] for b in r["messages"][1]["content"]] for r in server.requests]
    assert kinds == [["thinking", "tool_use"], ["tool_use"]]

    server.replies = [wrong]
    assert (await failure(provider)).kind is ErrorKind.INVALID_REQUEST
    assert len(server.requests) == 3, "without thoughts there is nothing to leave out"


async def test_a_budget_for_thinking_waits_if_the_calls_were_made_without(
    server: AnthropicServer,
) -> None:
    calls = (ToolCall("c", "get"),)
    request = asked(
        Message("user", "Hello"),
        Message("assistant", tool_calls=calls),
        Message("tool", "7", tool_call_id="c"),
        tools=(TOOL,),
        max_tokens=9000,
    )
    assert "thinking" not in await sent(server, request, thinking=2048)


@pytest.mark.parametrize(
    ("reason", "meant"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "stop"),
        ("pause_turn", "pause_turn"),
        (None, "stop"),
    ],
)
async def test_stop_reasons_are_mapped(
    server: AnthropicServer, provider: AnthropicProvider, reason: str | None, meant: str
) -> None:
    server.replies = [streamed(start(), text("Hi"), stop(reason))]
    assert (await collected(provider))[-1].stop_reason == meant


async def test_a_call_that_was_cut_off_at_the_bound_is_left_out(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [streamed(start(), text("Well"), tool_use(1, '{"id'), stop("max_tokens"))]
    events = await collected(provider, tools=(TOOL,))
    assert [e.type for e in events] == [EventType.TEXT_DELTA, EventType.USAGE, EventType.DONE]
    assert events[-1].stop_reason == "length"


async def test_a_refusal_is_filtered_and_says_why(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Too risky"}
    server.replies = [streamed(start(), stop("refusal", stop_details=details))]
    error = await failure(provider)
    assert error.kind is ErrorKind.FILTERED
    assert "Too risky" in str(error)
    assert error.request_id == REQUEST_ID


async def test_a_full_context_without_a_word_is_a_context_that_is_too_long(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [streamed(start(), stop("model_context_window_exceeded"))]
    assert (await failure(provider)).kind is ErrorKind.CONTEXT_TOO_LONG


async def test_an_answer_is_complete_before_its_body_ends(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    for end in ("silence", "cut"):
        server.replies = [streamed(start(), text("Hi"), stop(), end=end)]
        assert (await collected(provider))[-1].type is EventType.DONE


@pytest.mark.parametrize(
    "events",
    [
        (event("content_block_delta", index=[], delta={"type": "text_delta", "text": 5}),),
        (event("content_block_delta", delta=None),),
        (event("content_block_delta", delta={"type": "text_delta"}), stop()),
        (event("content_block_start", content_block="x"),),
        (event("message_start", message=[]), stop()),
        (event("message_start", message={"usage": 3, "id": []}), stop()),
        (
            start({"input_tokens": "many", "output_tokens": -1, "cache_read_input_tokens": []}),
            stop(),
        ),
        (event("message_delta", delta=7, usage=7), event("message_stop")),
        (event("message_delta", delta={"stop_reason": ["x"]}), event("message_stop")),
        (start(), tool_use(0, "[1]"), stop("tool_use")),
        (start(), tool_use(0, "[" * 100_000), stop("tool_use")),
        (start(), tool_use(0, "{}", name=""), stop("tool_use")),
        ("data: 5\n\n",),
        ("data: \n\n",),
    ],
)
async def test_whatever_the_fields_hold_it_is_one_error_of_the_server(
    server: AnthropicServer, provider: AnthropicProvider, events: tuple[str, ...]
) -> None:
    server.replies = [streamed(*events)]
    assert (await failure(provider)).kind is ErrorKind.SERVER


@pytest.mark.parametrize("body", [5, None, [], {}, {"content": {}}, {"content": [{}]}], ids=str)
async def test_a_whole_answer_that_is_none_is_an_error_of_the_server(
    server: AnthropicServer, provider: AnthropicProvider, body: object
) -> None:
    server.replies = [status(200, body)]
    assert (await failure(provider, stream=False)).kind is ErrorKind.SERVER


async def test_usage_is_told_of_an_answer_that_broke_off(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    for end in ("clean", "cut"):
        server.replies = [streamed(start(), text("Hi"), end=end)]
        events = await collected(provider)
        assert [e.type for e in events[1:]] == [EventType.USAGE, EventType.ERROR]
        assert events[1].usage == replace(COUNTED, output_tokens=1, thinking_tokens=0)
        assert events[2].error.kind is ErrorKind.NETWORK
        assert events[2].error.request_id == REQUEST_ID


async def test_a_final_count_of_nothing_does_not_make_the_answer_free(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    nothing = event("message_delta", delta={}, usage={"input_tokens": 0, "output_tokens": 3})
    server.replies = [streamed(start(), text("Hi"), nothing, stop())]
    assert (await collected(provider))[-2].usage == COUNTED


# Errors


@pytest.mark.parametrize(
    ("code", "word", "message", "kind"),
    [
        (400, "invalid_request_error", "max_tokens: too big", ErrorKind.INVALID_REQUEST),
        (400, "invalid_request_error", "Your credit balance is too low.", ErrorKind.BILLING),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            ErrorKind.BILLING,
        ),
        (400, "invalid_request_error", "prompt is too long: 9 > 8", ErrorKind.CONTEXT_TOO_LONG),
        (402, "billing_error", "Pay.", ErrorKind.BILLING),
        (403, "permission_error", "No.", ErrorKind.AUTH),
        (404, "not_found_error", "model: x", ErrorKind.UNAVAILABLE),
        (413, "request_too_large", "No.", ErrorKind.CONTEXT_TOO_LONG),
        (500, "api_error", "No.", ErrorKind.SERVER),
        (500, "overloaded_error", "Overloaded", ErrorKind.OVERLOADED),
        (529, "api_error", "No.", ErrorKind.OVERLOADED),
    ],
)
async def test_refusals_have_their_class(
    server: AnthropicServer,
    provider: AnthropicProvider,
    code: int,
    word: str,
    message: str,
    kind: ErrorKind,
) -> None:
    server.replies = [refused(code, word, message)]
    error = await failure(provider)
    assert (error.kind, error.status, error.request_id) == (kind, code, REQUEST_ID)
    assert message.rstrip(".") in str(error)


async def test_a_limit_says_how_long_to_wait(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [refused(429, "rate_limit_error", retry_after="7")]
    error = await failure(provider)
    assert (error.kind, error.retry_after) == (ErrorKind.RATE_LIMITED, 7.0)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("overloaded_error", ErrorKind.OVERLOADED),
        ("rate_limit_error", ErrorKind.RATE_LIMITED),
        ("api_error", ErrorKind.SERVER),
        ("authentication_error", ErrorKind.AUTH),
        ("permission_error", ErrorKind.AUTH),
        ("billing_error", ErrorKind.BILLING),
        ("invalid_request_error", ErrorKind.INVALID_REQUEST),
        ("request_too_large", ErrorKind.CONTEXT_TOO_LONG),
        ("timeout_error", ErrorKind.TIMEOUT),
        ("of_a_later_version", ErrorKind.SERVER),
        (7, ErrorKind.SERVER),
    ],
)
async def test_an_error_in_the_stream_has_its_class(
    server: AnthropicServer, provider: AnthropicProvider, word: object, kind: ErrorKind
) -> None:
    server.replies = [streamed(start(), event("error", error={"type": word, "message": "No."}))]
    error = await failure(provider)
    assert (error.kind, error.status, error.request_id) == (kind, None, REQUEST_ID)


async def test_an_error_with_a_status_of_success_has_its_class(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [refused(200, "overloaded_error")]
    for stream in (True, False):
        assert (await failure(provider, stream=stream)).kind is ErrorKind.OVERLOADED


async def test_an_error_holds_no_secret_and_no_object_of_the_sdk(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [refused(401, "authentication_error", f"invalid x-api-key {KEY}")]
    error = await failure(provider)
    assert error.kind is ErrorKind.AUTH
    assert KEY not in str(error)
    assert "providers.anthropic.api_key" in str(error)
    assert (error.__cause__, error.__context__) == (None, None)


async def test_a_vendor_that_cannot_be_reached_was_not_reached() -> None:
    made = AnthropicProvider(api_key=KEY, base_url="http://127.0.0.1:1")
    error = await failure(made)
    assert (error.kind, error.reached) == (ErrorKind.NETWORK, False)
    await made.aclose()


async def test_a_silent_vendor_times_out(server: AnthropicServer) -> None:
    made = AnthropicProvider(api_key=KEY, base_url=server.url, read_timeout=0.1)
    server.replies = [streamed(start(), text("Hi"), end="silence")]
    error = await failure(made)
    assert (error.kind, error.reached) == (ErrorKind.TIMEOUT, True)
    await made.aclose()


async def test_the_sdk_does_not_try_again(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [refused(529, "overloaded_error")]
    await failure(provider)
    assert len(server.requests) == 1


# Connections


async def test_a_call_that_is_cancelled_closes_its_connection(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [streamed(start(), text("Hi"), end="silence")]
    heard = asyncio.Event()

    async def listen() -> None:
        async for _ in provider.chat(asked()):
            heard.set()

    task = asyncio.create_task(listen())
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.closed_by_client.wait(), 5)


async def test_an_iterator_that_is_closed_closes_its_connection(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [streamed(start(), text("Hi"), end="silence")]
    async with aclosing(provider.chat(asked())) as events:
        await anext(events)
    await asyncio.wait_for(server.closed_by_client.wait(), 5)


async def test_a_connection_is_used_again_and_closed_at_the_end(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    await asyncio.gather(*(collected(provider) for _ in range(3)))
    opened = server.connections
    await collected(provider)
    await collected(provider, stream=True)
    assert server.connections == opened
    await provider.aclose()
    await asyncio.wait_for(server.closed_by_client.wait(), 5)
    assert (await collected(provider))[-1].type is EventType.DONE, "closed is not the end"


# The catalogue


async def test_the_catalogue_answers_at_once_and_knows_releases() -> None:
    made = AnthropicProvider(api_key=KEY)
    known = {info.id: info for info in await made.list_models()}
    assert {"claude-opus-4-6", "claude-sonnet-4-5", "claude-opus-5-5"} <= set(known)
    assert made.model_info("claude-haiku-4-5-20251001").max_context_tokens == 200_000
    elsewhere = AnthropicProvider(base_url="http://127.0.0.1:1", name="local")
    assert await elsewhere.list_models() == []


async def test_models_are_refreshed_from_the_vendor_page_by_page(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    able = {"image_input": {"supported": False}, "thinking": {"supported": True}}
    new = {"id": "claude-new-6", "max_input_tokens": 5000, "max_tokens": 70, "capabilities": able}
    odd = [{"id": "a b"}, {"id": 5}, 5, {"id": "claude-old", "lifecycle": "retired"}]
    server.replies = [
        status(200, {"data": [new, *odd], "has_more": True, "last_id": "claude-new-6"}),
        status(200, {"data": [{"id": "claude-opus-5-5", "capabilities": 7}], "has_more": False}),
    ]
    found = {info.id: info for info in await provider.refresh_models()}
    assert list(found) == ["claude-new-6", "claude-opus-5-5"]
    fresh = found["claude-new-6"]
    assert (fresh.tools, fresh.vision, fresh.thinking) == (True, False, True)
    assert (fresh.max_context_tokens, fresh.max_output_tokens) == (5000, 70)
    assert found["claude-opus-5-5"].max_context_tokens == 1_000_000
    assert provider.model_info("claude-new-6") == fresh
    assert "after_id=claude-new-6" in server.lines[1]


async def test_a_vendor_that_lists_without_end_is_not_asked_without_end(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [status(200, {"data": [{"id": "m"}], "has_more": True, "last_id": "m"})]
    await provider.refresh_models()
    assert len(server.requests) <= 10


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refused(401, "authentication_error", f"invalid {KEY}"), ErrorKind.AUTH),
        (status(200, {"data": []}), ErrorKind.SERVER),
        (status(200, 5), ErrorKind.SERVER),
    ],
)
async def test_a_refresh_that_fails_changes_nothing(
    server: AnthropicServer, provider: AnthropicProvider, reply: Any, kind: ErrorKind
) -> None:
    before = await provider.list_models()
    server.replies = [reply]
    with pytest.raises(ProviderError) as caught:
        await provider.refresh_models()
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert await provider.list_models() == before
