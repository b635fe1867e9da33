"""How a provider of Anthropic is made, and which account it uses."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.errors import ConfigError
from sigil.providers import EventType
from sigil.providers.anthropic import AnthropicProvider
from tests.providers.anthropic.calls import collect_events
from tests.providers.anthropic.replies import start, stop, text
from tests.providers.anthropic.server import KEY, AnthropicServer
from tests.providers.loopback import event_stream


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


def test_a_provider_does_not_show_its_key(provider: AnthropicProvider) -> None:
    assert KEY not in repr(vars(provider))


async def test_a_server_without_a_key_gets_none_of_ours(
    server: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-another")
    provider = AnthropicProvider(base_url=f"{server.url}/v1/")
    assert (await collect_events(provider))[-1].type is EventType.DONE
    assert server.headers[-1]["authorization"] == "Bearer none"
    await provider.aclose()


async def test_an_answer_is_complete_before_its_body_ends(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    for end in ("silence", "cut"):
        server.replies = [event_stream(start(), text("Hi"), stop(), end=end)]
        assert (await collect_events(provider))[-1].type is EventType.DONE
