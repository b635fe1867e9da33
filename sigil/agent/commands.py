"""Commands that are handled in order, in a turn. /stop and /status do not wait; see routing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigil.effects import Effect, UpdateSession
from sigil.money.amounts import format_reset, format_usd
from sigil.money.standings import Standing

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.sessions import SessionRecord

HELP = """\
**/help** this list
**/new** start a fresh conversation
**/status** what I am doing, and with which model
**/stop** stop the answer that is being written, and drop what waits
**/model** `provider/model` choose the model of this conversation; `/model default` undoes it
**/usage** the tokens and the money used in this conversation and today"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, in which session, what was used today, how the budgets stand, and which
    providers there are."""

    session: SessionRecord
    workspace_id: str
    settings: Settings
    usage_today: Mapping[str, int]
    standings: Sequence[Standing]
    providers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reply:
    """A command's answer and what it changes."""

    text: str
    effects: tuple[Effect, ...] = ()


def parse(text: str) -> tuple[str, str] | None:
    """The command's name and its argument, or None for words to the model.

    A single unknown word with a slash is taken for a mistyped command; anything longer that
    begins with a slash (a path, say) is the model's.
    """
    word, _, argument = text.strip().partition(" ")
    if not word.startswith("/") or len(word) < 2:
        return None
    name = word[1:].lower()
    if name in COMMANDS or (not argument and name.isalpha() and "\n" not in text):
        return name, argument.strip()
    return None


def run(name: str, argument: str, asked: Asked) -> Reply:
    """Runs a command; an unknown one answers with the way to /help."""
    command = COMMANDS.get(name)
    if command is None:
        return Reply(f"I do not know the command /{name}. /help lists what I know.")
    return command(argument, asked)


def _help(argument: str, asked: Asked) -> Reply:
    return Reply(HELP.replace("\n", "  \n"))


def _new(argument: str, asked: Asked) -> Reply:
    fields = {"epoch": str(asked.session.epoch + 1), "input_tokens": "0", "output_tokens": "0"}
    effect = UpdateSession(asked.session.key, fields)
    return Reply("A fresh conversation. What is on your mind?", (effect,))


def _model(argument: str, asked: Asked) -> Reply:
    workspace = asked.settings.workspaces.get(asked.workspace_id)
    default = (workspace.model if workspace else None) or asked.settings.models.default
    if not argument:
        return Reply(f"This conversation uses `{asked.session.model or default}`.")
    if argument == "default":
        return Reply(
            f"This conversation uses `{default}` again.",
            (UpdateSession(asked.session.key, {"model": ""}),),
        )
    provider, slash, model = argument.partition("/")
    if not slash or not model or len(argument) > 200 or any(c.isspace() for c in argument):
        return Reply("Write it as `/model provider/model`.")
    if provider not in asked.providers:
        known = ", ".join(f"`{name}`" for name in asked.providers)
        return Reply(f"There is no provider `{provider}`. I have {known}.")
    return Reply(
        f"This conversation uses `{argument}` from now on.",
        (UpdateSession(asked.session.key, {"model": argument}),),
    )


def _usage(argument: str, asked: Asked) -> Reply:
    session, today = asked.session, asked.usage_today
    used = session.input_tokens + session.output_tokens
    limit = asked.settings.budgets.max_session_tokens
    of = f" of {limit}" if limit is not None else ""
    return Reply(
        f"**This conversation** {used}{of} tokens "
        f"({session.input_tokens} in, {session.output_tokens} out)  \n"
        f"**You, today** {today.get('input_tokens', 0)} tokens in, "
        f"{today.get('output_tokens', 0)} out, {today.get('turns', 0)} answers"
        + "".join(map(_spent, asked.standings))
    )


def _spent(standing: Standing) -> str:
    """One line of money, if there is any to speak of."""
    used = standing.spent + standing.reserved
    if standing.limit is None and not used:
        return ""
    span = {"hour": "this hour", "day": "today"}[standing.window]
    line = f"  \n**{_WHOSE[standing.scope]}, {span}** {format_usd(used)}"
    if standing.limit is None:
        return line
    resets = format_reset(standing.window, standing.resets_in)
    return f"{line} of {format_usd(standing.limit)}, resets {resets}"


_WHOSE = {"session": "This conversation", "user": "You", "workspace": "This workspace"}

COMMANDS: dict[str, Callable[[str, Asked], Reply]] = {
    "help": _help,
    "new": _new,
    "model": _model,
    "usage": _usage,
}
