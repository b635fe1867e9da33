"""How a provider of OpenAI is made, and which account it uses."""

from __future__ import annotations

import inspect

import pytest

from sigil.errors import ConfigError
from sigil.providers import EventType
from sigil.providers.base import Catalogued
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_events
from tests.providers.openai.server import OpenAIServer


def test_an_unknown_name_means_openai_itself() -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OpenAIProvider(name="work")
    assert OpenAIProvider(name="work", api_key="k").model_info("gpt-4.1").tools


def test_it_has_a_catalogue() -> None:
    assert isinstance(OpenAIProvider(api_key="k"), Catalogued)


def test_openais_own_servers_are_asked_for_responses_others_for_chat_completions() -> None:
    def api_of(**how: str) -> str:
        return OpenAIProvider(api_key="k", **how)._api.path

    assert api_of() == "/responses"
    assert api_of(base_url="https://eu.api.openai.com/v1") == "/responses"
    assert api_of(base_url="https://openai.example.com/v1") == "/chat/completions"
    assert api_of(api="chat") == "/chat/completions"


async def test_a_server_without_authentication_needs_no_key(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-account")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-account")
    server.needs_key = False
    provider = OpenAIProvider(name="ollama", base_url=server.url)
    assert (await collect_events(provider))[-1].type is EventType.DONE
    await provider.aclose()
    assert "another-account" not in str(server.headers)


def test_chat_is_a_generator_so_that_it_can_be_closed() -> None:
    assert inspect.isasyncgenfunction(OpenAIProvider.chat)
