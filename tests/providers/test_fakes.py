from __future__ import annotations

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Provider
from sigil.providers.fakes import FakeProvider, ScriptedProvider

REQUEST = ChatRequest("model", [Message("user", "Hello")])


async def collected(provider: Provider) -> list[ChatEvent]:
    return [event async for event in provider.chat(REQUEST)]


async def test_the_fake_says_ok_and_remembers_what_it_was_asked() -> None:
    fake = FakeProvider("x")
    assert (await collected(fake))[0].text == "ok"
    assert fake.requests == [REQUEST]


async def test_the_fake_can_become_unavailable() -> None:
    fake = FakeProvider("x", available=False)
    assert not await fake.available()
    fake.is_available = True
    assert await fake.available()


async def test_the_script_is_played_in_order() -> None:
    error = ProviderError("no", kind=ErrorKind.AUTH)
    half = [ChatEvent(EventType.TEXT_DELTA, text="Hal")]
    scripted = ScriptedProvider(["one", error, half, ValueError("broken")])
    assert (await collected(scripted))[0].text == "one"
    assert [event.error for event in await collected(scripted)] == [error]
    assert await collected(scripted) == half
    with pytest.raises(ValueError, match="broken"):
        await collected(scripted)
    (event,) = await collected(scripted)
    assert event.error is not None
    assert event.error.kind is ErrorKind.UNAVAILABLE
    assert "call 5" in str(event.error)
    assert len(scripted.requests) == 5
