import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from sigil.cli import conversation
from sigil.cli.client import Chat, Event
from sigil.errors import SigilError, StoreError
from sigil.messages.exchange import OutboundMessage
from sigil.waiting import end
from tests.web.serving import TOKEN, Serve, Served


@contextlib.asynccontextmanager
async def workers(served: Served) -> AsyncIterator[None]:
    async def work() -> None:
        while True:
            await served.settle()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        await end([task])


async def answer(chat: Chat) -> list[Event]:
    events = []
    async with asyncio.timeout(10), contextlib.aclosing(chat.events()) as stream:
        async for event in stream:
            events.append(event)
            if event.kind == "reply":
                break
    return events


async def test_a_conversation(served: Served) -> None:
    async with workers(served), Chat(served.url) as chat:
        assert (await chat.open())["user"]["id"] == "owner"
        for text in ("first", "second\u2028line"):
            await chat.say(text)
            events = await answer(chat)
            assert [event.data["text"] for event in events if event.kind == "user"] == [text]
            assert text in events[-1].data["text"]


async def test_a_gateway_that_comes_back_is_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.cli.client._PAUSE_S", 0.01)
    receive, failures = served.gateway.receive, iter([True, True])

    async def flaky(message: object) -> object:
        accepted = await receive(message)  # type: ignore[arg-type]
        if next(failures, False):  # it was taken, but the answer is lost
            raise StoreError("Redis did not answer.")
        return accepted

    monkeypatch.setattr(served.gateway, "receive", flaky)
    async with workers(served), Chat(served.url) as chat:
        await chat.open()
        await chat.say("once")
        assert [event.kind for event in await answer(chat)].count("user") == 1


async def test_a_gateway_that_is_not_there_is_said(served: Served) -> None:
    chat = Chat("http://127.0.0.1:9")
    with pytest.raises(SigilError, match=r"does not answer.*sigil up"):
        await chat.open()
    await chat.__aexit__()


async def test_a_wrong_token_is_said(serve: Serve) -> None:
    served = await serve(gateway={"token": TOKEN})
    for token in (None, "wrong"):
        async with Chat(served.url, token=token) as chat:
            with pytest.raises(SigilError, match="--token"):
                await chat.open()
    async with Chat(served.url, token=TOKEN) as chat:
        await chat.open()


async def test_one_question_prints_its_answer_and_ends(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    async with workers(served):
        await asyncio.to_thread(conversation.run_chat, served.url, None, None, "what **now**?")
    out = capsys.readouterr().out
    assert "what **now**?" in out  # as it is, for a pipe
    assert "\x1b" not in out


async def test_lines_from_a_pipe_are_answered_in_order(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["alpha", "", "beta"])

    def read(prompt: str) -> str:
        with contextlib.suppress(StopIteration):
            return next(lines)
        raise EOFError

    monkeypatch.setattr("builtins.input", read)
    async with workers(served):
        await asyncio.to_thread(conversation.run_chat, served.url)
    out = capsys.readouterr().out
    assert 0 <= out.index("alpha") < out.index("beta")


async def test_an_answer_cannot_command_the_terminal(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say = Chat.say
    loop = asyncio.get_running_loop()
    evil = "safe\x1b]0;owned\x07\x9b2J\x08 text"

    async def say_and_be_answered(self: Chat, text: str) -> None:
        await say(self, text)
        message = OutboundMessage("terminal", self._id, evil)
        sending = served.gateway.channels.send(message)  # on the loop that serves
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(sending, loop))

    monkeypatch.setattr(Chat, "say", say_and_be_answered)
    await asyncio.to_thread(conversation.run_chat, served.url, None, None, "hello")
    assert "safe]0;owned2J text" in capsys.readouterr().out.splitlines()


async def test_on_a_terminal_drafts_grow_and_give_way_to_the_answer() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=40, height=6, highlight=False)

    async def events() -> AsyncIterator[Event]:
        for n in range(1, 30):
            yield Event("draft", {"text": "\n".join(f"line {i}" for i in range(n))}, f"{n}-0")
        yield Event("reply", {"text": "The **end**", "final": False}, "30-0")
        yield Event("reply", {"text": "really", "final": True}, "31-0")
        raise AssertionError("it read on after the answer")

    await conversation._show_answer(events(), console)
    out = screen.getvalue()
    assert "line 1" in out
    assert "line 28" in out
    final = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out[out.rindex("line 28") + 7 :]).split()
    assert final == ["The", "end", "really"]
