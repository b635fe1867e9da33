"""Calls of Anthropic's provider."""

from __future__ import annotations

from functools import partial
from typing import Any

from sigil.providers import ChatRequest, EventType
from sigil.providers.anthropic import AnthropicProvider
from tests.providers import calls
from tests.providers.anthropic.server import KEY, AnthropicServer
from tests.providers.loopback import Json

MODEL = "claude-opus-5-5"

make_request = partial(calls.make_request, model=MODEL)
collect_events = partial(calls.collect_events, model=MODEL)
collect_error = partial(calls.collect_error, model=MODEL)


async def record_body(server: AnthropicServer, request: ChatRequest, **options: Any) -> Json:
    """The body that a provider with these options sends."""
    options = {"api_key": KEY, "prompt_caching": False} | options
    provider = AnthropicProvider(base_url=server.url, **options)
    try:
        assert [event async for event in provider.chat(request)][-1].type is EventType.DONE
    finally:
        await provider.aclose()
    return server.requests[-1]
