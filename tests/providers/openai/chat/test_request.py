"""What is sent to chat completions."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind
from sigil.messages.conversation import Document, Image, Native
from sigil.providers import Message, ToolCall, ToolDefinition
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error, collect_events
from tests.providers.loopback import event_stream
from tests.providers.openai.chat.replies import call_delta, chunk
from tests.providers.openai.server import KEY, OpenAIServer

ASKED = Message("user", "Hello")


async def test_the_request_carries_what_was_asked(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    tool = ToolDefinition("add", "Adds", {"type": "object", "properties": {"a": {}}})
    await collect_events(
        provider, system_prompt="Be brief.", tools=(tool,), max_tokens=5, temperature=0.2
    )
    assert server.requests == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello"},
            ],
            "max_tokens": 5,
            "temperature": 0.2,
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "add",
                        "description": "Adds",
                        "parameters": {"type": "object", "properties": {"a": {}}},
                    },
                }
            ],
        }
    ]


async def test_openai_gets_its_own_bound_and_no_temperature_for_thinking_models(
    server: OpenAIServer,
) -> None:
    provider = OpenAIProvider(
        api_key=KEY, base_url=server.url, max_tokens_field="max_completion_tokens"
    )
    await collect_events(provider, model="gpt-6-sol", temperature=0.2)
    await collect_events(provider, model="gpt-4.1", temperature=0.2)
    await provider.aclose()
    assert [body.get("temperature") for body in server.requests] == [None, 0.2]
    assert all("max_completion_tokens" in body for body in server.requests)


@pytest.mark.parametrize("content", ["{", "[]", '"x"', ""])
async def test_a_damaged_form_gives_way_to_the_neutral_one(
    server: OpenAIServer, provider: OpenAIProvider, content: str
) -> None:
    answer_message = Message(
        "assistant",
        tool_calls=(ToolCall("c", "add", {}),),
        native=Native("openai.chat", "m", content),
    )
    await collect_events(
        provider, messages=[ASKED, answer_message, Message("tool", "2", tool_call_id="c")]
    )
    assert server.requests[-1]["messages"][1]["tool_calls"][0]["id"] == "c"


async def test_another_vendors_long_ids_are_shortened_alike(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    answer_message = Message("assistant", tool_calls=(ToolCall("x" * 300, "add", {}),))
    result = Message("tool", "2", tool_call_id="x" * 300)
    await collect_events(provider, messages=[ASKED, answer_message, result])
    _, calling, answering = server.requests[-1]["messages"]
    assert calling["tool_calls"][0]["id"] == answering["tool_call_id"]
    assert len(answering["tool_call_id"]) <= 40, "OpenAI takes no longer one"


async def test_a_name_that_the_vendor_does_not_take_comes_back_as_it_was(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = event_stream(call_delta(0, "{}", "c", "files_read"), chunk({}, "tool_calls"))
    events = await collect_events(provider, tools=(ToolDefinition("files.read"),))
    assert server.requests[-1]["tools"][0]["function"]["name"] == "files_read"
    assert events[0].tool_call is not None
    assert events[0].tool_call.name == "files.read"


async def test_pictures_go_in_beside_the_text(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    images = (Image("https://example.com/a.png"), Image("data:image/png;base64,AAAA"))
    await collect_events(provider, messages=[Message("user", "What is this?", images=images)])
    assert server.requests[-1]["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]


async def test_documents_go_in_beside_the_text(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    document = Document("data:application/pdf;base64,AAAA", "plan.pdf")
    await collect_events(provider, messages=[Message("user", "Sum up", documents=(document,))])
    assert server.requests[-1]["messages"][0]["content"] == [
        {"type": "text", "text": "Sum up"},
        {"type": "file", "file": {"filename": "plan.pdf", "file_data": document.url}},
    ]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://169.254.169.254/", "data:text/x,"])
async def test_a_server_is_not_made_to_fetch_just_anything(
    server: OpenAIServer, provider: OpenAIProvider, url: str
) -> None:
    messages = [Message("user", "What is this?", images=(Image(url),))]
    error = await collect_error(provider, messages=messages)
    assert (error.kind, error.reached) == (ErrorKind.INVALID_REQUEST, False)
    assert server.requests == []
