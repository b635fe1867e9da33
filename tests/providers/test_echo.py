from __future__ import annotations

import pytest

from sigil.providers import ChatEvent, ChatRequest, EventType, Message
from sigil.providers.echo import EchoProvider


async def echoed(
    *messages: Message | str, provider: EchoProvider | None = None, **fields: object
) -> list[ChatEvent]:
    said = [m if isinstance(m, Message) else Message("user", m) for m in messages]
    provider = provider or EchoProvider(delay=0)
    return [event async for event in provider.chat(ChatRequest("echo", said, **fields))]


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events)


def deltas(events: list[ChatEvent]) -> list[str]:
    return [event.text for event in events if event.type is EventType.TEXT_DELTA]


@pytest.mark.parametrize(
    "text", ["one two", "  kept \n\n as it is  ", "日本語 ok", "x" * 60_000, "[a] is no origin"]
)
@pytest.mark.parametrize("delay", [0, 1e-9])
async def test_the_last_user_text_comes_back_unchanged(text: str, delay: float) -> None:
    earlier = [Message("user", "before"), Message("assistant", "hm")]
    events = await echoed(*earlier, text, provider=EchoProvider(delay=delay), max_tokens=100_000)
    assert text_of(events) == text


async def test_the_line_that_says_where_it_came_from_is_left_out() -> None:
    assert text_of(await echoed("[web, Sean]\nHello\n[again]\nthere")) == "Hello\n[again]\nthere"


async def test_with_a_delay_it_speaks_word_by_word() -> None:
    assert deltas(await echoed("one two three", provider=EchoProvider(delay=1e-9))) == [
        "one ",
        "two ",
        "three",
    ]


async def test_without_a_delay_it_is_cheap() -> None:
    assert len(deltas(await echoed("word " * 1000, max_tokens=10_000))) <= 2


async def test_a_long_text_does_not_take_for_ever() -> None:
    events = await echoed("w " * 20_000, provider=EchoProvider(delay=1e-9), max_tokens=100_000)
    assert len(deltas(events)) <= 250


async def test_not_streaming_is_one_piece() -> None:
    assert deltas(await echoed("one two three", stream=False)) == ["one two three"]


@pytest.mark.parametrize("messages", [[], ["[web, Sean]\n"], ["  "]])
async def test_there_is_always_an_answer(messages: list[str]) -> None:
    assert "nothing" in text_of(await echoed(*messages))


async def test_the_hint_says_how_to_get_real_answers() -> None:
    text = text_of(await echoed("Hello", provider=EchoProvider(delay=0, hint=True)))
    assert text.startswith("Hello")
    assert "sigil.yaml" in text
    assert "api_key" in text


async def test_the_hint_is_given_once_in_a_conversation() -> None:
    provider = EchoProvider(delay=0, hint=True)
    assert text_of(await echoed("Hello", "And again", provider=provider)) == "And again"


async def test_the_bound_is_kept() -> None:
    events = await echoed("word " * 100, max_tokens=10)
    assert len(text_of(events)) == 40
    assert events[-1].stop_reason == "length"
    assert events[-2].usage is not None
    assert events[-2].usage.output_tokens == 10
