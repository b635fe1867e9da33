"""How a provider of Google is made, and when its answers end."""

from __future__ import annotations

import json

import pytest

from sigil.errors import ConfigError
from sigil.providers import EventType
from sigil.providers.google import GoogleProvider
from tests.providers.google.calls import collect_events
from tests.providers.google.replies import USAGE, content
from tests.providers.google.server import KEY, GoogleServer
from tests.providers.loopback import Exchange


@pytest.mark.parametrize("thinking", ["hard", -2, True, 1.5, ["low"]])
def test_thinking_must_be_a_level_or_a_budget(thinking: object) -> None:
    with pytest.raises(ConfigError, match=r"options\.thinking"):
        GoogleProvider(api_key="k", thinking=thinking)


@pytest.mark.parametrize("version", ["", "1", "v1/../v2", "v1beta ", 1])
def test_an_api_version_that_cannot_be_part_of_a_path_is_refused(version: object) -> None:
    with pytest.raises(ConfigError, match=r"options\.api_version"):
        GoogleProvider(api_key="k", api_version=version)


async def test_a_server_without_a_key_gets_none_of_ours(
    server: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "AIza-of-another-account")
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-of-another-account")
    server.key = "none"
    provider = GoogleProvider(base_url=server.url)
    assert (await collect_events(provider))[-1].type is EventType.DONE
    await provider.aclose()


async def test_another_version_of_the_api_is_another_path(server: GoogleServer) -> None:
    server.version = "v1beta"
    provider = GoogleProvider(api_key=KEY, base_url=server.url, api_version="v1beta")
    assert (await collect_events(provider))[-1].type is EventType.DONE
    await provider.aclose()


@pytest.mark.parametrize("after", ["cut", "silent", "malformed"])
async def test_nothing_after_a_complete_answer_changes_it(
    server: GoogleServer, provider: GoogleProvider, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.head(200, "text/event-stream")
        await exchange.send(f"data: {json.dumps(content('Hello', finish='STOP'))}\n\n")
        await exchange.send(f"data: {json.dumps({'usageMetadata': USAGE})}\n\n")
        if after == "malformed":
            await exchange.send('data: {"candidates": \n\n')
            await exchange.end()
        elif after == "silent":
            await exchange.closed_by_client.wait()

    monkeypatch.setattr("sigil.providers.google.provider._LINGER", 0.1)
    server.reply = reply
    events = await collect_events(provider)
    assert [event.type for event in events] == [
        EventType.TEXT_DELTA,
        EventType.USAGE,
        EventType.DONE,
    ]
    assert events[-1].stop_reason == "stop"
