"""Against Google itself, when a key is at hand."""

from __future__ import annotations

import os

import pytest

from sigil.providers import EventType
from sigil.providers.google import GoogleProvider
from tests.providers.google.calls import collect_events


@pytest.mark.live
@pytest.mark.enable_socket
@pytest.mark.skipif(not os.environ.get("GOOGLE_API_KEY"), reason="GOOGLE_API_KEY is not set")
async def test_an_answer_is_counted() -> None:
    provider = GoogleProvider(api_key=os.environ["GOOGLE_API_KEY"])
    model = os.environ.get("SIGIL_LIVE_GOOGLE_MODEL", "gemini-3.5-flash-lite")
    events = await collect_events(provider, model=model, max_tokens=500)
    await provider.aclose()
    assert events[-1].type is EventType.DONE, events[-1].error
    assert any(event.usage and event.usage.total_tokens for event in events)
