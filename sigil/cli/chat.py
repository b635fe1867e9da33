"""`sigil chat`: a conversation in the terminal, or one question and its answer."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from sigil.cli.client import Chat, Event
from sigil.errors import SigilError

ANSWER_WITHIN_S = 960.0  # a little more than the longest turn
DEFAULT_URL = "http://127.0.0.1:8787"
_PROMPT = "\x01\x1b[1;36m\x02you>\x01\x1b[0m\x02 "  # the marks tell readline what has no width


def run(
    url: str = DEFAULT_URL,
    token: str | None = None,
    as_user: str | None = None,
    text: str | None = None,
) -> None:
    """Talks to the gateway at `url`: once with a `text`, else until Ctrl-D.

    Raises `SigilError` if the gateway is not there or refuses.
    """
    console = Console(highlight=False)
    with asyncio.Runner() as runner:
        chat = Chat(url, token=token, as_user=as_user)
        try:
            me = runner.run(chat.open())
            if text is not None:
                runner.run(_exchange(chat, console, text))
            else:
                _converse(runner, chat, console, f"{me['user']['name']}, {me['model']}")
        finally:
            runner.run(chat.__aexit__())


def _converse(runner: asyncio.Runner, chat: Chat, console: Console, who: str) -> None:
    asked = sys.stdin.isatty()
    if asked:
        _edit_lines()
        console.print(Text(f"Sigil ({who}). /help helps, Ctrl-C stops an answer, Ctrl-D leaves."))
    while True:
        try:
            text = input(_PROMPT if asked else "").strip()
        except (EOFError, KeyboardInterrupt):
            if asked:
                console.print()
            return
        if not text:
            continue
        try:
            runner.run(_exchange(chat, console, text))
        except KeyboardInterrupt:
            runner.run(_exchange(chat, console, "/stop"))


def _edit_lines() -> None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() a history


async def _exchange(chat: Chat, console: Console, text: str) -> None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await chat.say(text)
            async with contextlib.aclosing(chat.events()) as events:
                await _show(events, console)
    except TimeoutError:
        raise SigilError("no answer came in time.", hint="`sigil status` shows why.") from None


async def _show(events: AsyncIterator[Event], console: Console) -> None:
    """Shows drafts while they grow, on a terminal, and then the whole answer."""
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        async for event in events:
            if event.kind == "draft" and console.is_terminal:
                live.update(_tail(_clean(event.data["text"]), console), refresh=True)
            elif event.kind == "reply":
                if console.is_terminal:
                    live.update(Text(""), refresh=True)
                _print(_clean(event.data["text"]), console)
                if event.data.get("final", True):
                    return


def _tail(text: str, console: Console) -> Text:
    """The last lines that fit the screen: what scrolls away could not be taken back."""
    lines = Text(text).wrap(console, console.width)
    return Text("\n").join(lines[-max(3, console.height - 2) :])


def _print(text: str, console: Console) -> None:
    if console.is_terminal:
        console.print(Markdown(text, hyperlinks=False))
    else:
        console.print(text, markup=False, soft_wrap=True)


def _clean(text: str) -> str:
    """Without control characters: what a model writes must not command the terminal."""
    return "".join(char for char in text if char in "\n\t" or not _is_control(char))


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"
