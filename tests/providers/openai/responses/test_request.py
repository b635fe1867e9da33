"""What is sent to the responses API."""

from __future__ import annotations

from sigil.messages.conversation import Document, Image
from sigil.providers import Message, ToolCall, ToolDefinition
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_events
from tests.providers.openai.server import OpenAIServer

ASKED = Message("user", "Hello")
ADD = ToolDefinition("add", "Adds", {"type": "object", "properties": {"a": {}}})


async def test_the_request_carries_what_was_asked(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    await collect_events(
        provider, system_prompt="Be brief.", tools=(ADD,), max_tokens=50, temperature=0.2
    )
    assert server.paths == ["/v1/responses"]
    assert server.requests == [
        {
            "model": "m",
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": "Hello"}],
            "max_output_tokens": 50,
            "temperature": 0.2,
            "store": False,
            "stream": True,
            "tools": [
                {
                    "type": "function",
                    "name": "add",
                    "description": "Adds",
                    "parameters": {"type": "object", "properties": {"a": {}}},
                    "strict": False,
                }
            ],
        }
    ]


async def test_a_model_that_thinks_is_asked_for_its_thoughts(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    await collect_events(provider, model="gpt-6-sol", temperature=0.2)
    await collect_events(provider, model="gpt-4.1", temperature=0.2)
    thinking, plain = server.requests
    assert thinking["include"] == ["reasoning.encrypted_content"]
    assert "temperature" not in thinking
    assert "include" not in plain


async def test_a_conversation_is_sent_as_items(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    long = "x" * 300
    calls = (ToolCall("c1", "add", {"a": "é"}), ToolCall(long, "files.read", {}))
    await collect_events(
        provider,
        tools=(ADD, ToolDefinition("files.read")),
        messages=[
            ASKED,
            Message("assistant", "I look.", tool_calls=calls),
            Message("tool", "1", tool_call_id="c1"),
            Message("tool", "2", tool_call_id=long),
            Message("assistant", "Two."),
            Message(
                "user",
                images=(Image("data:image/png;base64,AAAA"),),
                documents=(Document("data:application/pdf;base64,BBBB", "plan.pdf"),),
            ),
        ],
    )
    items = server.requests[-1]["input"]
    short = items[3]["call_id"]
    assert items == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": "é"}'},
        {"type": "function_call", "call_id": short, "name": "files_read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": short, "output": "2"},
        {"role": "assistant", "content": "Two."},
        {
            "role": "user",
            "content": [
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,AAAA",
                    "detail": "auto",
                },
                {
                    "type": "input_file",
                    "filename": "plan.pdf",
                    "file_data": "data:application/pdf;base64,BBBB",
                },
            ],
        },
    ]
