from __future__ import annotations

import subprocess
import sys

import pytest

from sigil.errors import ConfigError, ErrorKind
from sigil.providers import EventType, ToolDefinition, Usage
from sigil.providers.openai import OpenAIProvider
from tests.providers.asking import collected, failure
from tests.providers.openai.server import (
    DONE,
    KEY,
    OpenAIServer,
    answer,
    call_delta,
    chunk,
    streamed,
    whole,
    words,
)

COUNTED = Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3)


# Construction


@pytest.mark.parametrize("key", [None, "", "  "])
def test_an_empty_key_without_an_address_is_refused(key: str | None) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        OpenAIProvider(api_key=key)


@pytest.mark.parametrize("key", ["sk-with\nnewline", "sk-ключ", "two words"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key") as caught:
        OpenAIProvider(api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://x/v1", "http://", "http://h:port/v1"])
def test_an_address_must_be_http(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OpenAIProvider(base_url=url)


def test_construction_imports_no_sdk() -> None:
    code = (
        "import sys; from sigil.providers.openai import OpenAIProvider; "
        "OpenAIProvider(api_key='k'); "
        "sys.exit(any(m in sys.modules for m in ('openai', 'anthropic', 'google.genai')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_the_catalogue_is_for_openai_only() -> None:
    openai = OpenAIProvider(api_key="k")
    assert "gpt-4.1" in {model.id for model in await openai.list_models()}
    assert openai.model_info("gpt-4.1-2025-04-14").max_output_tokens == 32_768
    ollama = OpenAIProvider(name="ollama", base_url="http://127.0.0.1:1/v1")
    assert await ollama.list_models() == []
    assert not ollama.model_info("gpt-4.1").tools


# What is sent


async def test_the_request_carries_what_was_asked(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    tool = ToolDefinition("add", "Adds", {"type": "object", "properties": {"a": {}}})
    await collected(
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
    await collected(provider, model="gpt-6-sol", temperature=0.2)
    await collected(provider, model="gpt-4.1", temperature=0.2)
    await provider.aclose()
    assert [body.get("temperature") for body in server.requests] == [None, 0.2]
    assert all("max_completion_tokens" in body for body in server.requests)


async def test_a_server_without_authentication_needs_no_key(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-account")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-account")
    server.needs_key = False
    provider = OpenAIProvider(name="ollama", base_url=server.url)
    assert (await collected(provider))[-1].type is EventType.DONE
    await provider.aclose()
    assert "another-account" not in str(server.headers)


async def test_it_can_be_used_again_after_closing(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    await collected(provider)
    await provider.aclose()
    assert (await collected(provider))[-1].type is EventType.DONE


# What comes back


@pytest.mark.parametrize("stream", [True, False])
async def test_usage_counts_cached_and_thinking_tokens(
    provider: OpenAIProvider, stream: bool
) -> None:
    events = await collected(provider, stream=stream)
    assert [event.usage for event in events if event.usage] == [COUNTED]


async def test_a_server_that_counts_nothing_is_fine(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(*words("Hi"), chunk({}, "stop"), DONE)
    types = [event.type for event in await collected(provider)]
    assert types == [EventType.TEXT_DELTA, EventType.DONE]


async def test_tool_calls_are_put_together(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.reply = streamed(
        call_delta(0, "", "call-a", "add"),
        call_delta(0, '{"a":'),
        call_delta(1, '{"b": 2}', "call-b", "sub"),
        call_delta(0, " 1}"),
        chunk({}, "tool_calls"),
        DONE,
    )
    *calls, done = await collected(provider)
    assert [event.type for event in calls] == [EventType.TOOL_CALL] * 2
    found = [(e.tool_call.id, e.tool_call.name, e.tool_call.arguments) for e in calls]
    assert found == [("call-a", "add", {"a": 1}), ("call-b", "sub", {"b": 2})]
    assert done.stop_reason == "tool_calls"


async def test_servers_with_one_index_and_without_ids_are_understood(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(
        call_delta(0, "{}", "call-a", "one"),
        call_delta(0, "{}", "call-b", "two"),
        call_delta(1, "", None, "three"),
        chunk({}, "stop"),
    )
    *calls, done = await collected(provider)
    assert [event.tool_call.name for event in calls] == ["one", "two", "three"]
    assert len({event.tool_call.id for event in calls}) == 3
    assert done.stop_reason == "tool_calls"


async def test_a_tool_call_that_came_whole(server: OpenAIServer, provider: OpenAIProvider) -> None:
    function = {"name": "add", "arguments": '{"a": 1}'}
    server.reply = whole({"tool_calls": [{"id": "c", "type": "function", "function": function}]})
    events = await collected(provider, stream=False)
    types = [EventType.TOOL_CALL, EventType.USAGE, EventType.DONE]
    assert [event.type for event in events] == types
    call = events[0].tool_call
    assert call is not None
    assert (call.id, call.name, call.arguments) == ("c", "add", {"a": 1})


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
async def test_malformed_tool_calls_are_no_answer(
    server: OpenAIServer, provider: OpenAIProvider, arguments: str
) -> None:
    server.reply = streamed(call_delta(0, arguments, "c", "add"), chunk({}, "tool_calls"), DONE)
    assert (await failure(provider)).kind is ErrorKind.SERVER


async def test_an_endless_tool_call_is_cut_off(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(*[call_delta(0, "x" * 300_000, "c", "add")] * 4, end="silence")
    assert "too long" in str(await failure(provider))


async def test_an_answer_cut_off_by_its_bound_says_so(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = answer("Hi", "length")
    assert (await collected(provider))[-1].stop_reason == "length"


async def test_a_refusal_is_text(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.reply = streamed(chunk({"refusal": "I would rather not."}), chunk({}, "stop"), DONE)
    assert (await collected(provider))[0].text == "I would rather not."


async def test_an_answer_all_spent_on_thinking_is_cut_off_and_no_failure(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(chunk({}, "length"), DONE)
    (end,) = await collected(provider)
    assert (end.type, end.stop_reason) == (EventType.DONE, "length")


async def test_a_call_that_was_cut_off_is_none(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.reply = streamed(
        chunk({"content": "I look."}), call_delta(0, '{"a": ', "c", "add"), chunk({}, "length")
    )
    events = await collected(provider)
    assert [event.type for event in events] == [EventType.TEXT_DELTA, EventType.DONE]
    assert (events[-1].stop_reason, events[-1].native) == ("length", None)
