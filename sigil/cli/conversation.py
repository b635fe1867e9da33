"""Shows a chat with the gateway on a terminal, for `sigil chat`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from sigil.cli.answer_line import describe_details, describe_restart
from sigil.cli.client import Chat, Event, make_message_id
from sigil.cli.output import escape_controls, print_json
from sigil.errors import SigilError

# A little more than timeouts.turn, by default the longest turn.
ANSWER_WITHIN_S = 960.0
# A stop takes effect within a second or two, unless workers are missing.
STOP_WITHIN_S = 15.0
# \x01 and \x02 enclose what has no width, so that readline knows where the cursor is.
_PROMPT = "\x01\x1b[1;36m\x02you>\x01\x1b[0m\x02 "
_UNDONE = {
    "dropped": ("This message was stopped before it was answered.", None),
    "refused": (
        "This message was not taken, since too many were waiting.",
        "Send it again in a while, or clear them with /stop.",
    ),
}


class _NotAnswered(SigilError):
    """A message to which no answer comes."""

    code = "chat.not_answered"


def run_chat(
    url: str,
    token: str | None = None,
    as_user: str | None = None,
    text: str | None = None,
    *,
    as_json: bool = False,
) -> int:
    """Talks to the gateway at `url`: sends `text` and shows the answer, or without a text goes
    on until Ctrl-D. Returns the exit code: 1 if no model has answered the text.

    Raises `SigilError` if the gateway does not answer or refuses.
    """
    console = Console(highlight=False, quiet=as_json)
    with asyncio.Runner() as runner:
        chat = Chat(url, token=token, as_user=as_user)
        try:
            me = runner.run(chat.open())
            conversation = Conversation(chat, console)
            if text is None:
                _converse(runner, conversation, console, f"{me['user']['name']}, {me['model']}")
                return 0
            answer = runner.run(conversation.ask(text))
            if conversation.has_failed and as_json:
                raise _NotAnswered(answer["text"])
            if as_json:
                print_json(answer)
            return 1 if conversation.has_failed else 0
        finally:
            runner.run(chat.__aexit__())


def _converse(
    runner: asyncio.Runner, conversation: Conversation, console: Console, who: str
) -> None:
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # gives input() line editing and a history
        hints = "/help helps, Ctrl-C stops an answer, Ctrl-D leaves."
        console.print(Text(f"Sigil ({escape_controls(who)}). {hints}"))
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
            runner.run(conversation.ask(text))
        except _NotAnswered as error:
            console.print(Text(str(error), style="yellow"))
        except KeyboardInterrupt:
            # A second Ctrl-C does not wait for the stop.
            with contextlib.suppress(KeyboardInterrupt):
                runner.run(conversation.stop())


class Conversation:
    """What is said in one chat. `open` are the ids of the messages still to be answered;
    `has_failed`: the last turn ended without a model's answer, and said so."""

    def __init__(self, chat: Chat, console: Console) -> None:
        self._chat = chat
        self._console = console
        self.open: set[str] = set()
        self.has_failed = False
        self._undone: list[str] = []

    async def ask(self, text: str) -> dict[str, Any]:
        """Sends a message and shows what comes, until its own answer is there. Returns that: its
        `text`, and its `details` and `actions` as in a `ReplyEvent`.

        Raises `SigilError`: no answer comes, or the gateway is away.
        """
        self.open = {message_id := make_message_id()}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._chat.say(text, message_id)
                answer = await self._show_until_closed()
        except TimeoutError:
            raise SigilError("no answer came in time.", hint="`sigil status` shows why.") from None
        for kind in self._undone:
            message, hint = _UNDONE[kind]
            raise _NotAnswered(message, hint=hint)
        return answer

    async def stop(self) -> None:
        """Stops what is being answered, and shows what had been written of it."""
        self.open.add(message_id := make_message_id())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._chat.say("/stop", message_id)
                await self._show_until_closed()

    async def _show_until_closed(self) -> dict[str, Any]:
        self._undone = []
        async with contextlib.aclosing(self._chat.events()) as events:
            return await show_answers(events, self._console, self.close)

    def close(self, event: Event) -> bool:
        """Notes what the event says of the open messages. True if none is open any more.

        A notice says nothing of them. Neither does the answer to an earlier message, which may
        come late.
        """
        data = event.data
        if event.kind == "reply" and data.get("final", True):
            # A command's answer belongs to no turn, and an older worker gives no details at all.
            is_turn = bool(data.get("turn") and data.get("answers"))
            self.has_failed = is_turn and not data.get("details")
            if data.get("answers"):
                self.open.difference_update(data["answers"])
            elif data.get("turn"):  # an older worker does not say what it answers
                self.open.clear()
        elif event.kind in _UNDONE and data["message_id"] in self.open:
            self.open.discard(data["message_id"])
            self._undone.append(event.kind)
        return not self.open


async def show_answers(
    events: AsyncIterator[Event], console: Console, close: Callable[[Event], bool]
) -> dict[str, Any]:
    """Prints replies until `close` says that the last one is there, and returns that; on a
    terminal also shows drafts while they grow."""
    answer: dict[str, Any] = {"text": ""}
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        async for event in events:
            if event.kind == "draft" and console.is_terminal:
                live.update(_draw_draft(event.data, console), refresh=True)
            elif event.kind == "reply":
                if console.is_terminal:
                    live.update(Text(""), refresh=True)
                _print_reply(event.data, console)
                begins = event.data.get("chunk", 0) == 0
                text = event.data["text"] if begins else f"{answer['text']}\n{event.data['text']}"
                answer = {"text": text, **{k: event.data.get(k) for k in ("details", "actions")}}
            if close(event):
                return answer
    return answer


def _draw_draft(draft: dict[str, Any], console: Console) -> Text:
    if not draft["text"] and draft.get("broke_off"):
        return Text(escape_controls(describe_restart(draft["broke_off"])), style="dim")
    return _fit_screen(_drop_controls(draft["text"]), console)


def _fit_screen(text: str, console: Console) -> Text:
    """The last lines that fit the screen. A line that has scrolled away cannot be replaced by the
    next draft."""
    lines = Text(text).wrap(console, console.width)
    return Text("\n").join(lines[-max(3, console.height - 2) :])


def _print_reply(reply: dict[str, Any], console: Console) -> None:
    text, details = _drop_controls(reply["text"]), reply.get("details")
    if console.is_terminal:
        console.print(Markdown(text, hyperlinks=False))
    else:
        console.print(text, markup=False, soft_wrap=True)
    if details and (console.is_terminal or details.get("cut_at")):
        line = escape_controls(describe_details(details, reply.get("actions") or ()))
        # Into a pipe goes the answer alone.
        where = console if console.is_terminal else Console(stderr=True, quiet=console.quiet)
        where.print(Text(line, style="dim"), soft_wrap=True)


def _drop_controls(text: str) -> str:
    """Removes control characters: a model's text must not control the terminal."""
    return "".join(
        char for char in text if char in "\n\t" or not (char < " " or "\x7f" <= char <= "\x9f")
    )
