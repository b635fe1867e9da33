"""The table of all commands, the parser of all texts, and the help that is made from the table."""

from __future__ import annotations

import re

from sigil.commands.base import Command, CommandContext, CommandResult
from sigil.commands.model import choose_model
from sigil.commands.new import start_session
from sigil.commands.status import show_status
from sigil.commands.stop import stop_session
from sigil.commands.usage import show_usage
from sigil.config.problems import find_close

# A name, and the bot that it is meant for where a platform adds that: `/stop@sigil_bot`. Only the
# listener knows its own name, so it drops commands that are meant for other bots.
_COMMAND = re.compile(r"/([^\s@]+)(@\S+)?(?:[ \t](.*))?", re.DOTALL)


async def show_help(context: CommandContext) -> CommandResult:
    """Lists every command of the table."""
    lines = [
        f"**/{command.name}** {f'`{command.usage}` ' if command.usage else ''}{command.help}"
        for command in COMMANDS.values()
    ]
    return CommandResult("  \n".join(lines))


_ROWS = (
    Command("help", "this list", show_help),
    Command("new", "start a fresh conversation", start_session),
    Command("status", "what I am doing, and with which model", show_status),
    Command("stop", "stop the answer that is being written, and drop what waits", stop_session),
    Command(
        "model",
        "list the models, or choose one for this conversation; `/model default` undoes it",
        choose_model,
        usage="NAME",
    ),
    Command("usage", "the tokens and the money used in this conversation and today", show_usage),
)

COMMANDS = {command.name: command for command in _ROWS}
"""Every command by its name, in the order of the help."""


def parse_command(text: str) -> tuple[str, str] | None:
    """The command's name and its argument, or None for words to the model.

    A single unknown word with a slash is taken for a mistyped command, and so are words that begin
    with one letter too many, too few or wrong in a command's name. Anything else that begins with a
    slash (a path, say) is the model's.
    """
    match = _COMMAND.fullmatch(text.strip())
    if match is None:
        return None
    name, bot, argument = match[1].lower(), match[2], (match[3] or "").strip()
    if name in COMMANDS:
        return name, argument
    if bot or not name.isalpha() or "\n" in text or (argument and not _is_mistyped(name)):
        return None
    return name, argument


def _is_mistyped(name: str) -> bool:
    near = find_close(name, COMMANDS, at_least=0.75)
    return near is not None and abs(len(near) - len(name)) <= 1


async def run_command(name: str, context: CommandContext) -> CommandResult:
    """Runs a command; an unknown one is answered with what was probably meant, and the way to
    /help. Raises `StoreError`."""
    command = COMMANDS.get(name)
    if command is None:
        near = find_close(name, COMMANDS)
        meant = f"; did you mean /{near}?" if near else "."
        return CommandResult(f"I do not know the command /{name}{meant} /help lists what I know.")
    return await command.run(context)
