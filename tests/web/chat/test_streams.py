"""Event streams: from the beginning, from where a reader left off, and to their end."""

import asyncio
import json

import pytest

from sigil.channels.live import DraftUpdate
from sigil.stores import Stores
from sigil.web.chat.streams import STREAMS_PER_USER
from tests.web.serving import Serve, Served, Sse, read_events

CHAT = "web:chat"


def is_ready(event: Sse) -> bool:
    return event.kind == "ready"


async def claim(served: Served) -> None:
    await served.gateway.stores.chats.touch("owner", "web", "chat", "A chat")


async def show(served: Served, id: str, text: str, turn: str = "t", final: bool = True) -> None:
    event = {"type": "reply", "text": text, "turn": turn, "chunk": 0, "final": final}
    await served.gateway.stores.chats.show(CHAT, id, event)


async def test_a_stream_tells_what_was_then_what_comes(serve: Serve, stores: Stores) -> None:
    served = await serve(stores)
    await claim(served)
    await show(served, "1", "before")
    caught_up = asyncio.Event()

    def is_after(event: Sse) -> bool:
        if is_ready(event):
            caught_up.set()
        return "after" in event.data

    reading = asyncio.create_task(read_events(served, "chat", is_after))
    await caught_up.wait()
    await served.gateway.stores.chats.draft([DraftUpdate(CHAT, "u", 1, 1, "so *f")])
    await show(served, "2", "after", turn="u")
    events = await reading
    assert [event.kind for event in events if event.kind != "draft"] == ["reply", "ready", "reply"]
    assert json.loads(events[-1].data)["html"] == "<p>after</p>\n"


async def test_drafts_are_rendered(serve: Serve, stores: Stores) -> None:
    served = await serve(stores)
    await claim(served)
    await served.gateway.stores.chats.draft([DraftUpdate(CHAT, "u", 1, 1, "**so far** <b>")])
    events = await read_events(served, "chat", is_ready)
    draft = json.loads(events[0].data)
    assert (events[0].kind, draft["turn"]) == ("draft", "u")
    assert draft["html"] == "<p><strong>so far</strong> &lt;b&gt;</p>\n"
    assert "text" not in draft


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_reader_that_comes_back_misses_and_repeats_nothing(
    serve: Serve, stores: Stores, by_header: bool
) -> None:
    served = await serve(stores)
    await claim(served)
    for n in range(5):
        await show(served, str(n), f"text {n}", turn=str(n))
    events = await read_events(served, "chat", lambda event: "text 2" in event.data)
    await show(served, "5", "text 5", turn="5")
    last = events[-1].id
    back = (
        await read_events(served, "chat", is_ready, Last_Event_ID=last)
        if by_header
        else await read_events(served, "chat", is_ready, after=last)
    )
    texts = [json.loads(event.data)["text"] for event in [*events, *back] if event.kind == "reply"]
    assert texts == [f"text {n}" for n in range(6)]


async def test_a_long_history_is_told_whole(serve: Serve, stores: Stores) -> None:
    served = await serve(stores)
    await claim(served)
    for n in range(450):
        await show(served, str(n), str(n), turn=str(n))
    events = await read_events(served, "chat", is_ready)
    texts = [json.loads(event.data)["text"] for event in events[:-1]]
    assert texts == [str(n) for n in range(450)]


async def test_streams_end_at_once_when_the_gateway_stops(served: Served) -> None:
    await claim(served)
    async with served.client().stream("GET", "/api/chats/chat/events") as answer:
        pieces = answer.aiter_text()
        assert "ready" in await anext(pieces)
        served.stop()
        async with asyncio.timeout(3):
            assert "".join([piece async for piece in pieces]) == ""


async def test_streams_are_bounded_per_user_and_given_back(served: Served) -> None:
    await claim(served)
    client = served.client()
    opened = [client.stream("GET", "/api/chats/chat/events") for _ in range(STREAMS_PER_USER)]
    answers = [await each.__aenter__() for each in opened]
    texts = [answer.aiter_text() for answer in answers]
    for text in texts:
        assert "ready" in await anext(text)
    refused = await served.http.get("/api/chats/chat/events")
    assert refused.status_code == 429
    assert "retry-after" in refused.headers
    await opened[0].__aexit__(None, None, None)
    async with asyncio.timeout(5):
        while (await served.http.head("/api/chats/chat/events")).status_code == 429:
            await asyncio.sleep(0.02)
    for each in opened[1:]:
        await each.__aexit__(None, None, None)


async def test_a_burst_of_requests_gets_no_more_streams(served: Served) -> None:
    await claim(served)
    statuses: list[int] = []
    enough = asyncio.Event()

    async def ask() -> None:
        client = served.client()
        client.timeout = 30
        async with client.stream("GET", "/api/chats/chat/events") as answer:
            statuses.append(answer.status_code)
            if len(statuses) == 3 * STREAMS_PER_USER:
                enough.set()
            await enough.wait()

    async with asyncio.timeout(40):
        await asyncio.gather(*(ask() for _ in range(3 * STREAMS_PER_USER)))
    assert statuses.count(200) == STREAMS_PER_USER


async def test_asking_for_the_head_opens_no_stream(served: Served) -> None:
    await claim(served)
    assert (await served.http.head("/api/chats/chat/events")).status_code == 200
    assert (await served.http.head("/api/chats/other/events")).status_code == 404


@pytest.mark.parametrize("after", ["x", "1", "-1-1", "1-1-1", "$", "0-0\n", "1" * 40 + "-0"])
async def test_a_bad_position_is_refused(served: Served, after: str) -> None:
    await claim(served)
    answer = await served.http.get("/api/chats/chat/events", params={"after": after})
    assert answer.status_code == 400
