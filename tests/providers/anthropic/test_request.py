"""What goes over the wire to Anthropic."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from sigil.messages.conversation import Document, Image, Native
from sigil.providers import Message, ToolCall, ToolDefinition
from sigil.providers.anthropic import AnthropicProvider
from tests.providers.anthropic.calls import collect_events, make_request, record_body
from tests.providers.anthropic.replies import text_block
from tests.providers.anthropic.server import KEY, AnthropicServer

TOOL = ToolDefinition("get", "Gets it.", {"type": "object", "properties": {"id": {}}})
MARK = {"type": "ephemeral"}


async def test_a_request_has_what_was_asked_and_nothing_else(server: AnthropicServer) -> None:
    body = await record_body(
        server, make_request(system_prompt="Be brief.", max_tokens=99, session="s", user="u")
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


async def test_the_user_is_named_only_if_configured(server: AnthropicServer) -> None:
    body = await record_body(server, make_request(user="u-1", session="s-1"), send_user_id=True)
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
    request = make_request(model=model, temperature=1.5, max_tokens=9000)
    assert (await record_body(server, request, **options)).get("temperature") == given


async def test_thinking_is_asked_for_as_configured(server: AnthropicServer) -> None:
    request = make_request(max_tokens=4096)
    assert (await record_body(server, request, thinking="adaptive", effort="low")).items() >= {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
    }.items()
    budget = {"type": "enabled", "budget_tokens": 2048}
    assert (await record_body(server, request, thinking=2048))["thinking"] == budget
    short = await record_body(server, replace(request, max_tokens=2000), thinking=2048)
    assert short["thinking"]["budget_tokens"] == 1999
    assert "thinking" not in await record_body(
        server, replace(request, max_tokens=900), thinking=2048
    )


async def test_a_budget_for_thinking_is_left_out_after_calls_made_without_thinking(
    server: AnthropicServer,
) -> None:
    calls = (ToolCall("c", "get"),)
    request = make_request(
        Message("user", "Hello"),
        Message("assistant", tool_calls=calls),
        Message("tool", "7", tool_call_id="c"),
        tools=(TOOL,),
        max_tokens=9000,
    )
    assert "thinking" not in await record_body(server, request, thinking=2048)


async def test_pictures_are_addressed_or_sent_along(server: AnthropicServer) -> None:
    data = base64.b64encode(b"png").decode()
    images = (
        Image("https://x.test/a.png"),
        Image(f"data:image/jpg;base64,{data}"),
        Image("data:,p%20ng", "image/png"),
    )
    body = await record_body(server, make_request(Message("user", "What?", images=images)))
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


async def test_documents_are_sent_along_with_their_names(server: AnthropicServer) -> None:
    document = Document("data:application/pdf;base64,AAAA", "plan.pdf")
    asked = Message("user", "What?", images=(Image("data:image/png;base64,BBBB"),))
    body = await record_body(server, make_request(replace(asked, documents=(document,))))
    first, second, third = body["messages"][0]["content"]
    assert first == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
        "title": "plan.pdf",
    }
    assert (second["type"], third["type"]) == ("image", "text")


async def test_another_vendors_calls_are_sent_in_the_neutral_form(server: AnthropicServer) -> None:
    calls = (ToolCall("call.1", "cal.get", {"a": 1}), ToolCall("call.2", "cal_get"))
    foreign = Native("openai.chat", "claude-opus-5-5", "{}")
    body = await record_body(
        server,
        make_request(
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
        {"role": "user", "content": [text_block("Two things"), text_block("now")]},
        {
            "role": "assistant",
            "content": [
                text_block("Well"),
                {"type": "tool_use", "id": "call_1", "name": "cal_get", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "cal_get_2", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "call_2"},
                text_block("And?"),
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
    body = await record_body(server, make_request(*messages))
    assert body["messages"] == [
        {"role": "user", "content": [text_block("a"), text_block("(no text)")]}
    ]


async def test_what_is_worth_caching_is_marked_four_times_at_most(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    history = [Message("user", "a"), Message("assistant", "b")] * 5
    tools = (TOOL, replace(TOOL, name="put"))
    await collect_events(provider, *history, Message("user", "c"), tools=tools, system_prompt="s")
    body = server.requests[-1]
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, MARK]
    assert body["system"][0]["cache_control"] == MARK
    marked = [m["content"][-1].get("cache_control") for m in body["messages"]]
    assert marked == [None] * 8 + [MARK, None, MARK]
    assert json.dumps(body).count("cache_control") == 4
