import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from sigil.channels.live import refused_event
from sigil.cli import conversation
from sigil.cli.client import Chat, Event, make_message_id
from sigil.errors import ErrorKind, ProviderError, SigilError, StoreError, StoreFull
from sigil.messages.exchange import OutboundMessage
from sigil.testing import ScriptedProvider
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
            await chat.say(text, make_message_id())
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
        await chat.say("once", make_message_id())
        assert [event.kind for event in await answer(chat)].count("user") == 1


async def test_a_full_memory_is_said_at_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_full(_: object) -> object:
        raise StoreFull("the memory of Redis is nearly full.")

    monkeypatch.setattr(served.gateway, "receive", is_full)
    async with Chat(served.url) as chat, asyncio.timeout(5):
        await chat.open()
        with pytest.raises(SigilError, match="memory is full"):
            await chat.say("hello", "message-1")


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

    async def say_and_be_answered(self: Chat, text: str, message_id: str) -> None:
        await say(self, text, message_id)
        message = OutboundMessage("terminal", self._id, evil, answers=(message_id,))
        sending = served.gateway.channels.send(message)  # on the loop that serves
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(sending, loop))

    monkeypatch.setattr(Chat, "say", say_and_be_answered)
    await asyncio.to_thread(conversation.run_chat, served.url, None, None, "hello")
    assert "safe]0;owned2J text" in capsys.readouterr().out.splitlines()


def open_screen() -> tuple[io.StringIO, Console]:
    screen = io.StringIO()
    return screen, Console(file=screen, force_terminal=True, width=80, height=6, highlight=False)


def read_words(screen: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).split()


async def send(*events: Event) -> AsyncIterator[Event]:
    for event in events:
        yield event
    raise AssertionError("it read on after the answer")


def is_final(event: Event) -> bool:
    return bool(event.data.get("final"))


async def test_on_a_terminal_drafts_grow_and_give_way_to_the_answer() -> None:
    screen, console = open_screen()
    drafts = [
        Event("draft", {"text": "\n".join(f"line {i}" for i in range(n))}, f"{n}-0")
        for n in range(1, 30)
    ]
    start = Event("reply", {"text": "The **end**", "final": False}, "30-0")
    end = Event("reply", {"text": "really", "chunk": 1, "final": True}, "31-0")
    answer = await conversation.show_answers(send(*drafts, start, end), console, is_final)
    assert answer["text"] == "The **end**\nreally"
    out = screen.getvalue()
    assert "line 1" in out
    assert "line 28" in out
    assert read_words(out[out.rindex("line 28") + 7 :]) == ["The", "end", "really"]


async def test_a_terminal_says_in_one_line_how_the_answer_came_about() -> None:
    screen, console = open_screen()
    details = {
        "model": "lab/calm",
        "seconds": 3.21,
        "input_tokens": 1234,
        "output_tokens": 56,
        "cost": 1234,
        "broke_off": ["lab/cut"],
        "cut_at": 4096,
        "stopped": False,
    }
    actions = [{"id": "Please continue.", "label": "Continue"}]
    restart = Event("draft", {"text": "", "broke_off": ["lab/cut"]}, "1-0")
    reply = {"text": "Yes.", "final": True, "details": details, "actions": actions}
    answer = await conversation.show_answers(
        send(restart, Event("reply", reply, "2-0")), console, is_final
    )
    assert answer == {"text": "Yes.", "details": details, "actions": actions}
    words = " ".join(read_words(screen.getvalue()))
    assert "lab/cut broke off; the answer starts over" in words
    assert words.endswith(
        "Yes. lab/calm · 3.2 s · 1,234 tokens in, 56 out · $0.0012 · lab/cut broke off"
        " · cut at 4,096 tokens · Continue: Please continue."
    )


async def test_only_its_own_end_ends_the_wait_for_a_message() -> None:
    talk = conversation.Conversation(Chat("http://127.0.0.1:9"), open_screen()[1])
    talk.open = {"mine", "other"}

    def close(kind: str, **data: object) -> bool:
        return talk.close(Event(kind, data, "1-0"))

    assert not close("reply", turn=None, final=True)  # a notice
    assert not close("reply", turn="t", final=True, answers=["earlier"])
    assert not close("reply", turn="t", final=False, answers=["mine"])
    assert not close("dropped", message_id="earlier")
    assert not close("refused", message_id="other")
    assert close("reply", turn="t", final=True, answers=["mine"])
    talk.open = {"mine"}
    assert close("reply", turn="t", final=True)  # of an older worker, which cannot say


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_text_that_no_model_answers_is_a_failure(
    served: Served, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    def ask() -> int:
        return conversation.run_chat(served.url, None, None, "hi", as_json=as_json)

    def run() -> int:
        return conversation.run_chat(served.url, None, None, "/status")

    failing = ScriptedProvider([ProviderError("no", kind=ErrorKind.AUTH)])
    served.gateway.load_agent()._registry.register("echo", failing)
    async with workers(served):
        if as_json:
            with pytest.raises(SigilError, match="refused its key") as failure:
                await asyncio.to_thread(ask)
            assert failure.value.code == "chat.not_answered"
        else:
            assert await asyncio.to_thread(ask) == 1
            assert "refused its key" in capsys.readouterr().out
        assert await asyncio.to_thread(run) == 0


async def test_a_message_that_is_not_taken_ends_its_wait(served: Served) -> None:
    say = Chat.say

    async def be_refused(self: Chat, text: str, message_id: str) -> None:
        await say(self, text, message_id)
        chat = f"terminal:{self._id}"
        await served.gateway.stores.chats.show(chat, "r", refused_event(message_id))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chat, "say", be_refused)
        async with Chat(served.url) as chat:
            await chat.open()
            talk = conversation.Conversation(chat, open_screen()[1])
            with pytest.raises(SigilError, match="was not taken"):
                await talk.ask("hello")


async def test_for_scripts_there_is_one_object(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    async with workers(served):
        await asyncio.to_thread(
            lambda: conversation.run_chat(served.url, None, None, "what?", as_json=True)
        )
    # The log of the gateway goes to the same place.
    [line] = [each for each in capsys.readouterr().out.splitlines() if each.startswith("{")]
    answer = json.loads(line)
    assert "what?" in answer["text"]
    assert answer["details"]["model"] == "echo/echo"
