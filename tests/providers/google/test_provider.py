from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from sigil.conversation import Image
from sigil.errors import ConfigError, ErrorKind
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, ToolDefinition, Usage
from sigil.providers.google import GoogleProvider
from tests.providers.google.server import (
    KEY,
    GoogleServer,
    Json,
    answer,
    content,
    google_server,
    status,
    streamed,
)

COUNTED = Usage(input_tokens=13, output_tokens=10, cached_tokens=4, thinking_tokens=3)
PIXEL = "data:image/png;base64,AAEC/w=="


@pytest.fixture
async def server() -> AsyncIterator[GoogleServer]:
    async with google_server() as served:
        yield served


@pytest.fixture
async def provider(server: GoogleServer) -> AsyncIterator[GoogleProvider]:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, read_timeout=5)
    yield provider
    await provider.aclose()


def asked(*messages: Message, **fields: object) -> ChatRequest:
    fields.setdefault("model", "gemini-3.8-flash")
    return ChatRequest(messages=messages or [Message(role="user", content="Hello")], **fields)


async def collected(
    provider: GoogleProvider, *messages: Message, **fields: object
) -> list[ChatEvent]:
    return [event async for event in provider.chat(asked(*messages, **fields))]


# Construction


@pytest.mark.parametrize("key", [None, "", "  "])
def test_an_empty_key_without_an_address_is_refused(key: str | None) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        GoogleProvider(api_key=key)


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://x/v1", "http://"])
def test_an_address_must_be_http(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        GoogleProvider(base_url=url)


@pytest.mark.parametrize("thinking", ["hard", -2, True, 1.5, ["low"]])
def test_thinking_is_a_level_or_a_budget(thinking: object) -> None:
    with pytest.raises(ConfigError, match=r"options\.thinking"):
        GoogleProvider(api_key="k", thinking=thinking)


@pytest.mark.parametrize("version", ["", "1", "v1/../v2", "v1beta ", 1])
def test_an_api_version_is_part_of_the_path(version: object) -> None:
    with pytest.raises(ConfigError, match=r"options\.api_version"):
        GoogleProvider(api_key="k", api_version=version)


def test_construction_imports_no_sdk() -> None:
    code = (
        "import sys; from sigil.providers.google import GoogleProvider; "
        "GoogleProvider(api_key='k'); "
        "sys.exit(any(m in sys.modules for m in ('httpx2', 'openai', 'google.genai')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_nothing_is_taken_from_the_environment(
    server: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "GOOGLE_API_KEY": "AIza-of-another-account",
        "GEMINI_API_KEY": "AIza-of-another-account",
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        "GOOGLE_CLOUD_PROJECT": "another-project",
        "GOOGLE_CLOUD_LOCATION": "us-central1",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1",
        "GOOGLE_GENAI_API_VERSION": "beta",
        "GOOGLE_GENAI_CLIENT_MODE": "replay",
    }.items():
        monkeypatch.setenv(name, value)
    server.key = "none"
    provider = GoogleProvider(base_url=server.url)
    assert (await collected(provider))[-1].type is EventType.DONE
    await provider.aclose()


# What is sent


async def test_the_request_carries_what_was_asked_and_nothing_else(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    schema = {"type": "object", "properties": {"user_id": {"type": "integer"}}}
    tools = (ToolDefinition("kb.add", "Adds", schema), ToolDefinition("noop"))
    for stream in (True, False):
        await collected(
            provider,
            stream=stream,
            system_prompt="Be brief.",
            tools=tools,
            max_tokens=5,
            temperature=0.2,
            session="s-1",
            user="u-1",
        )
    streamed_body, whole_body = server.requests
    assert streamed_body == whole_body
    assert streamed_body == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}]},
        "generationConfig": {"temperature": 0.2, "maxOutputTokens": 5},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "kb_add", "description": "Adds", "parameters_json_schema": schema},
                    {"name": "noop", "description": ""},
                ]
            }
        ],
    }
    assert server.paths == [
        "/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        "/v1/models/gemini-3.8-flash:generateContent",
    ]


async def test_another_version_of_the_api_is_another_path(server: GoogleServer) -> None:
    server.version = "v1beta"
    provider = GoogleProvider(api_key=KEY, base_url=server.url, api_version="v1beta")
    assert (await collected(provider))[-1].type is EventType.DONE
    await provider.aclose()


async def test_pictures_are_sent_inline_or_by_their_address(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    images = (
        Image(PIXEL),
        Image("https://example.org/a.webp", "image/webp"),
        Image("data:image/png;base64,?"),
    )
    await collected(provider, Message("user", "What is it?", images=images))
    assert server.requests[0]["contents"][0]["parts"] == [
        {"inlineData": {"mime_type": "image/png", "data": "AAEC_w=="}},
        {"fileData": {"mime_type": "image/webp", "file_uri": "https://example.org/a.webp"}},
        {"text": "[a picture that cannot be read]"},
        {"text": "What is it?"},
    ]


@pytest.mark.parametrize(
    ("thinking", "model", "sent"),
    [
        ("low", "gemini-3.8-flash", {"thinking_level": "LOW"}),
        (0, "gemini-2.5-flash", {"thinking_budget": 0}),
        (-1, "one-that-nobody-knows", {"thinking_budget": -1}),
        (None, "gemini-3.8-flash", None),
    ],
)
async def test_thinking_is_sent_as_configured(
    server: GoogleServer, thinking: int | str | None, model: str, sent: Json | None
) -> None:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, thinking=thinking)
    await collected(provider, model=model)
    await provider.aclose()
    assert server.requests[0]["generationConfig"].get("thinkingConfig") == sent


# What comes back


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_text_usage_and_done(provider: GoogleProvider, stream: bool) -> None:
    *texts, usage, done = await collected(provider, stream=stream)
    assert [event.text for event in texts] == (["Hi", " there"] if stream else ["Hi there"])
    assert usage.usage == COUNTED
    assert (done.type, done.stop_reason, done.native) == (EventType.DONE, "stop", None)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("OTHER", "OTHER"), ("NEW_REASON", "NEW_REASON")],
)
async def test_stop_reasons(
    server: GoogleServer, provider: GoogleProvider, finish: str, reason: str
) -> None:
    server.reply = answer("Hi", finish=finish)
    assert (await collected(provider))[-1].stop_reason == reason


async def test_a_reason_to_block_may_be_new(server: GoogleServer, provider: GoogleProvider) -> None:
    server.reply = streamed({"promptFeedback": {"blockReason": "NEW_REASON"}})
    (end,) = await collected(provider)
    assert end.error is not None
    assert (end.error.kind, "NEW_REASON" in str(end.error)) == (ErrorKind.FILTERED, True)


async def test_counts_come_in_pieces_and_the_last_of_each_holds(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = streamed(
        content("Hi", usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 1}),
        content(finish="STOP", usageMetadata={"candidatesTokenCount": 5}),
    )
    assert (await collected(provider))[-2].usage == Usage(input_tokens=9, output_tokens=5)


# Ending


async def test_closing_the_iterator_closes_the_connection(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = streamed(content("Hi"), end="silence")
    async with aclosing(provider.chat(asked())) as events:
        assert (await anext(events)).text == "Hi"
    async with asyncio.timeout(5):
        await server.closed_by_client.wait()


@pytest.mark.parametrize("before", [(), (content("Hi"),)])
@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_closes_the_connection(
    server: GoogleServer, provider: GoogleProvider, before: tuple[Json, ...], stream: bool
) -> None:
    server.reply = streamed(*before, end="silence")
    task = asyncio.create_task(collected(provider, stream=stream))
    async with asyncio.timeout(5):
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.closed_by_client.wait()


async def test_a_provider_that_was_closed_opens_new_connections(
    provider: GoogleProvider,
) -> None:
    await collected(provider)
    await provider.aclose()
    await provider.aclose()
    assert (await collected(provider))[-1].type is EventType.DONE


# Models


async def test_the_catalogue_answers_without_a_network() -> None:
    provider = GoogleProvider(api_key="k")
    assert "gemini-3.8-flash" in {info.id for info in await provider.list_models()}
    assert provider.model_info("models/gemini-2.5-flash").thinking
    assert not provider.model_info("gemma-9").tools


async def test_the_vendor_says_which_models_there_are(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    def model(name: str, *methods: str, **fields: object) -> Json:
        return {"name": f"models/{name}", "supportedGenerationMethods": methods, **fields}

    server.reply = status(
        200,
        {
            "models": [
                model("gemini-9-new", "generateContent", inputTokenLimit=7, outputTokenLimit=5),
                model("gemini-9-tts", "generateContent"),
                model("gemini-2.5-flash", "generateContent", "countTokens", thinking=False),
                model("text-embedding-9", "embedContent"),
                model("../evil", "generateContent"),
                {},
            ]
        },
    )
    found = {info.id: info for info in await provider.refresh_models()}
    assert list(found) == ["gemini-9-new", "gemini-9-tts", "gemini-2.5-flash"]
    new, speech, known = found.values()
    assert (new.tools, new.vision, new.max_context_tokens, new.max_output_tokens) == (
        True,
        True,
        7,
        5,
    )
    assert not speech.tools
    assert (known.tools, known.thinking, known.max_context_tokens) == (True, False, 1_048_576)
    assert provider.model_info("models/gemini-9-new").max_context_tokens == 7
    assert await provider.list_models() == list(found.values())


async def test_a_model_that_is_known_not_to_think_is_not_told_to(server: GoogleServer) -> None:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, thinking="low")
    server.reply = status(
        200,
        {
            "models": [
                {
                    "name": "models/gemini-2.5-flash",
                    "supportedGenerationMethods": ["generateContent"],
                    "thinking": False,
                }
            ]
        },
    )
    await provider.refresh_models()
    server.reply = answer()
    await collected(provider, model="gemini-2.5-flash")
    await provider.aclose()
    assert "thinkingConfig" not in server.requests[-1]["generationConfig"]


# The vendor itself


@pytest.mark.live
@pytest.mark.enable_socket
@pytest.mark.skipif(not os.environ.get("GOOGLE_API_KEY"), reason="GOOGLE_API_KEY is not set")
async def test_live() -> None:
    provider = GoogleProvider(api_key=os.environ["GOOGLE_API_KEY"])
    model = os.environ.get("SIGIL_LIVE_GOOGLE_MODEL", "gemini-3.5-flash-lite")
    events = await collected(provider, model=model, max_tokens=500)
    await provider.aclose()
    assert events[-1].type is EventType.DONE, events[-1].error
    assert any(event.usage and event.usage.total_tokens for event in events)
