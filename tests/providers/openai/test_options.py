"""The options of a provider of OpenAI, and what they send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from sigil.errors import ConfigError
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error, collect_events
from tests.providers.loopback import Json
from tests.providers.openai.chat.replies import refusal
from tests.providers.openai.server import KEY, OpenAIServer

Ask = Callable[..., object]


@pytest_asyncio.fixture(loop_scope="module")
async def record_body(server: OpenAIServer) -> AsyncIterator[Ask]:
    """What a provider with these options sends."""
    made: list[OpenAIProvider] = []

    async def ask(options: Json, **fields: object) -> Json:
        provider = OpenAIProvider(api_key=KEY, base_url=server.url, **options)
        made.append(provider)
        await collect_events(provider, **fields)
        return server.requests[-1]

    yield ask
    for provider in made:
        await provider.aclose()


PERSONAL = {"session": "session-1", "user": "user-1"}


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_nothing_personal_is_sent_unless_it_is_configured(record_body: Ask, api: str) -> None:
    body = await record_body({"api": api}, **PERSONAL)
    assert "session-1" not in str(body)
    assert "user-1" not in str(body)
    assert "metadata" not in body
    assert body.get("store") is (False if api == "responses" else None)


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_what_is_configured_is_sent(record_body: Ask, api: str) -> None:
    options = {
        "prompt_cache_key": True,
        "send_user_id": True,
        "metadata": {"team": "x"},
        "store": True,
        "extra_body": {"provider": {"order": ["a"]}},
    }
    body = await record_body({"api": api, **options}, **PERSONAL)
    assert body["prompt_cache_key"] == "session-1"
    assert body["user"] == "user-1"
    assert body["metadata"] == {"team": "x"}
    assert body["store"] is True
    assert body["provider"] == {"order": ["a"]}


async def test_opaque_names_fit_the_vendors_bound(record_body: Ask) -> None:
    options = {"prompt_cache_key": True, "send_user_id": True, "user_field": "safety_identifier"}
    first = await record_body(options, session="s" * 100, user="u" * 100)
    second = await record_body(options, session="s" * 100, user="v" * 100)
    assert first["prompt_cache_key"] == second["prompt_cache_key"]
    assert first["safety_identifier"] != second["safety_identifier"]


@pytest.mark.parametrize(
    ("api", "model", "sent"),
    [
        ("chat", "gpt-6-sol", {"reasoning_effort": "low"}),
        ("chat", "gpt-4.1", {}),
        ("responses", "gpt-6-sol", {"reasoning": {"effort": "low"}}),
        ("responses", "gpt-4.1", {}),
    ],
)
async def test_effort_is_sent_only_to_models_that_think(
    record_body: Ask, api: str, model: str, sent: Json
) -> None:
    body = await record_body({"api": api, "reasoning_effort": "low"}, model=model)
    assert {key: body[key] for key in ("reasoning_effort", "reasoning") if key in body} == sent


async def test_effort_is_sent_to_a_server_whose_models_are_unknown(record_body: Ask) -> None:
    body = await record_body(
        {"name": "vllm", "reasoning_effort": "high"}, model="qwen", temperature=0.6
    )
    assert (body["reasoning_effort"], body["temperature"]) == ("high", 0.6)


async def test_a_server_that_cannot_count_streams_is_not_asked_to(record_body: Ask) -> None:
    assert "stream_options" not in await record_body({"stream_usage": False})


async def test_headers_are_added(record_body: Ask, server: OpenAIServer) -> None:
    await record_body({"headers": {"HTTP-Referer": "https://example.com"}})
    assert server.headers[-1]["http-referer"] == "https://example.com"


async def test_a_headers_value_is_shown_nowhere(server: OpenAIServer) -> None:
    provider = OpenAIProvider(
        api_key=KEY, base_url=server.url, headers={"X-Proxy-Token": "pass-0123456789"}
    )
    server.reply = refusal(401, None, "The token pass-0123456789 is wrong")
    error = await collect_error(provider)
    await provider.aclose()
    assert "pass-0123456789" not in f"{error!r} {provider!r} {vars(provider)}"


async def test_the_placeholder_for_a_missing_key_is_not_redacted(server: OpenAIServer) -> None:
    server.needs_key = False
    provider = OpenAIProvider(name="local", base_url=server.url)
    server.reply = refusal(400, None, "set reasoning_effort to 'none'")
    assert "'none'" in str(await collect_error(provider))
    await provider.aclose()


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"headers": {"Authorization": "Bearer secret"}}, "headers"),
        ({"headers": {"content-LENGTH": "secret"}}, "headers"),
        ({"headers": {"X-A": "secret\r\nX-B: 1"}}, "headers"),
        ({"headers": {"X A": "secret"}}, "headers"),
        ({"headers": {"X-A": "secret" * 1000}}, "headers"),
        ({"headers": {f"X-{n}": "secret" for n in range(21)}}, "headers"),
        ({"extra_body": {"max_tokens": "secret"}}, "extra_body"),
        ({"extra_body": {"stream": "secret"}}, "extra_body"),
        # What adds input, or answers to be paid for, that no reservation knows of.
        ({"extra_body": {"previous_response_id": "secret"}}, "extra_body"),
        ({"extra_body": {"conversation": "secret"}}, "extra_body"),
        ({"extra_body": {"prompt": {"id": "secret"}}}, "extra_body"),
        ({"extra_body": {"prediction": {"content": "secret"}}}, "extra_body"),
        ({"extra_body": {"best_of": 20}}, "extra_body"),
        ({"extra_body": {"x": "secret" * 20_000}}, "extra_body"),
        ({"metadata": {"k": "secret" * 100}}, "metadata"),
        ({"metadata": {str(n): "secret" for n in range(17)}}, "metadata"),
        ({"api": "secret"}, "api"),
        ({"reasoning_effort": "secret"}, "reasoning_effort"),
        ({"read_timeout": 0}, "read_timeout"),
        ({"server": "secre"}, "server"),
        ({"temprature": "secret"}, "temprature"),
    ],
)
def test_a_wrong_option_is_named_without_its_value(options: Json, where: str) -> None:
    with pytest.raises(ConfigError, match=rf"providers\.mine\.options\.{where}") as caught:
        OpenAIProvider(name="mine", api_key="k", **options)
    assert "secret" not in str(caught.value)
