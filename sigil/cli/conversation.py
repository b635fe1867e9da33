"""Shows a chat with the gateway on a terminal, for `sigil chat`."""

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

# A little more than timeouts.turn, by default the longest turn.
ANSWER_WITHIN_S = 960.0
# \x01 and \x02 enclose what has no width, so that readline knows where the cursor is.
_PROMPT = "\x01\x1b[1;36m\x02you>\x01\x1b[0m\x02 "


def run_chat(
    url: str,
    token: str | None = None,
    as_user: str | None = None,
    text: str | None = None,
) -> None:
    """Talks to the gateway at `url`: sends `text` and shows the answer, or without a text goes
    on until Ctrl-D.

    Raises `SigilError` if the gateway does not answer or refuses.
    """
    console = Console(highlight=False)
    with asyncio.Runner() as runner:
        chat = Chat(url, token=token, as_user=as_user)
        try:
            me = runner.run(chat.open())
            if text is not None:
                runner.run(_ask(chat, console, text))
            else:
                who = _drop_controls(f"{me['user']['name']}, {me['model']}")
                _converse(runner, chat, console, who)
        finally:
            runner.run(chat.__aexit__())


def _converse(runner: asyncio.Runner, chat: Chat, console: Console, who: str) -> None:
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # gives input() line editing and a history
        console.print(Text(f"Sigil ({who}). /help helps, Ctrl-C stops an answer, Ctrl-D leaves."))
    while True:
        try:
            text = input(_PROMPT if interactive else "").strip()
        except (EOFError, KeyboardInterrupt):
            if interactive:
                console.print()
            return
        if not text:
            continue
        try:
            runner.run(_ask(chat, console, text))
        except KeyboardInterrupt:
            runner.run(_ask(chat, console, "/stop"))


async def _ask(chat: Chat, console: Console, text: str) -> None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await chat.say(text)
            async with contextlib.aclosing(chat.events()) as events:
                await _show_answer(events, console)
    except TimeoutError:
        raise SigilError("no answer came in time.", hint="`sigil status` shows why.") from None


async def _show_answer(events: AsyncIterator[Event], console: Console) -> None:
    """Prints the whole answer; on a terminal also shows drafts while they grow."""
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        async for event in events:
            if event.kind == "draft" and console.is_terminal:
                live.update(_fit_screen(_drop_controls(event.data["text"]), console), refresh=True)
            elif event.kind == "reply":
                if console.is_terminal:
                    live.update(Text(""), refresh=True)
                _print_answer(_drop_controls(event.data["text"]), console)
                if event.data.get("final", True):
                    return


def _fit_screen(text: str, console: Console) -> Text:
    """The last lines that fit the screen. A line that has scrolled away cannot be replaced by the
    next draft."""
    lines = Text(text).wrap(console, console.width)
    return Text("\n").join(lines[-max(3, console.height - 2) :])


def _print_answer(text: str, console: Console) -> None:
    if console.is_terminal:
        console.print(Markdown(text, hyperlinks=False))
    else:
        console.print(text, markup=False, soft_wrap=True)


def _drop_controls(text: str) -> str:
    """Removes control characters: a model's text must not control the terminal."""
    return "".join(
        char for char in text if char in "\n\t" or not (char < " " or "\x7f" <= char <= "\x9f")
    )
