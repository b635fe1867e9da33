"""The known servers that speak OpenAI's API."""

from __future__ import annotations

import pytest

from sigil.errors import ConfigError
from sigil.providers.openai import OpenAIProvider
from sigil.providers.openai.servers import COMPATIBLE
from tests.providers.calls import collect_events
from tests.providers.openai.server import KEY, OpenAIServer


def needs_key(name: str) -> bool:
    try:
        OpenAIProvider(name=name)
    except ConfigError as error:
        return "api_key" in str(error)
    return False


def test_only_servers_on_this_machine_need_no_key() -> None:
    keyless = {name for name in COMPATIBLE if not needs_key(name)}
    assert keyless == {"ollama", "vllm", "lmstudio", "llamacpp"}
    for name in COMPATIBLE:
        OpenAIProvider(name=name, api_key="k")


@pytest.mark.parametrize("how", [{"name": "groq"}, {"name": "fast", "server": "groq"}])
async def test_a_known_servers_key_goes_nowhere_else(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    known = {"groq": type(COMPATIBLE["groq"])(server.url)}
    monkeypatch.setattr("sigil.providers.openai.provider.COMPATIBLE", known)
    provider = OpenAIProvider(api_key=KEY, **how)
    await collect_events(provider)
    await provider.aclose()
    assert server.paths == ["/v1/chat/completions"]


async def test_the_options_of_a_known_server_follow_its_address(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"mistral": type(COMPATIBLE["mistral"])(server.url, options={"stream_usage": False})}
    monkeypatch.setattr("sigil.providers.openai.servers.COMPATIBLE", known)
    for options in ({}, {"stream_usage": True}):
        provider = OpenAIProvider(name="mine", api_key=KEY, base_url=server.url + "/", **options)
        await collect_events(provider)
        await provider.aclose()
    assert ["stream_options" in body for body in server.requests] == [False, True]
