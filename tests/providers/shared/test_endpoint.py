"""Keys and addresses, which every vendor's provider checks alike."""

from __future__ import annotations

import pytest

from sigil.errors import ConfigError
from sigil.providers.anthropic import AnthropicProvider
from sigil.providers.google import GoogleProvider
from sigil.providers.openai import OpenAIProvider

every_class = pytest.mark.parametrize(
    "provider_class", [AnthropicProvider, GoogleProvider, OpenAIProvider]
)


@every_class
def test_a_provider_needs_a_key_or_an_address(provider_class: type) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        provider_class(api_key=None)
    provider_class(api_key=None, base_url="http://127.0.0.1:1")


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        OpenAIProvider(api_key=key)


@pytest.mark.parametrize("key", ["sk-with\nnewline", "sk-ключ", "two words"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key") as caught:
        OpenAIProvider(api_key=key)
    assert key not in str(caught.value)


@every_class
def test_an_address_is_checked(provider_class: type) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        provider_class(api_key="k", base_url="localhost:11434")


@pytest.mark.parametrize("url", ["ftp://x/v1", "http://", "http://h:port/v1"])
def test_an_address_must_be_http(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OpenAIProvider(base_url=url)
