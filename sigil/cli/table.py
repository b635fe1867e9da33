"""The table of commands, and the group that imports a command when it is called.

To add a command or a group of commands:

1. Write `sigil/cli/commands/NAME.py` with a typer `app` from `sigil.cli.frame.make_app()`. An app
   with one command becomes a command; an app with several, or with a callback, becomes a group.
2. Add its row here. The text is what the command's own help begins with; a test compares them.

Import what is slow inside functions, so that the command's `--help` and the completion of its
options stay quick.
"""

from __future__ import annotations

import copy
import importlib
import itertools
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

TABLE = {
    "up": "Run all of Sigil on this machine.",
    "gateway": "Run the gateway: listeners, web page, HTTP API.",
    "worker": "Run one worker process of a role.",
    "chat": "Talk to the agent in this terminal.",
    "send": "Accept a message as if a person had written it.",
    "notify": "Send a message to a chat without asking the agent.",
    "status": "Show per day what was accepted and how it ended.",
    "channel": "Show the channels, and find out whether one works.",
    "doctor": "Find what is wrong with this installation.",
    "models": "Show the models, what they can do and what they cost.",
    "turns": "Show the last turns: their model calls, how they went, and their cost.",
    "budget": "Show what may be spent, what was spent and what is left.",
    "version": "Print the version.",
    "config": "Check, show or create a configuration.",
    "providers": "Show the model vendors, and which models rest.",
}
"""The commands in the order of `sigil --help`, and what it says about each. The module of a
command has the command's name."""


class CommandTable(TyperGroup):
    """Lists the commands of `TABLE` without importing them, and loads the one that is called.

    It also turns the errors that Sigil raises into one line each, or into JSON.
    """

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=text) for name, text in TABLE.items()}
        # The same group with nothing to load, for listing and completion.
        self._listing = TyperGroup(**{**attrs, "commands": self.commands})
        self._listing.params = self.params

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports the command's module and returns the command; None if there is none."""
        if cmd_name not in TABLE:
            return None
        module = importlib.import_module(f"sigil.cli.commands.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of commands in `sigil --help`."""
        self._listing.format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Completes the names of commands and the options before them."""
        # Click asks the context's command for the commands, and `self` would load each.
        listing = copy.copy(ctx)
        listing.command = self._listing
        return self._listing.shell_complete(listing, incomplete)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. An error of Sigil's is explained and ends with exit code 1."""
        from sigil.errors import SigilError

        options = itertools.takewhile("--".__ne__, [*ctx._protected_args, *ctx.args])
        as_json = "--json" in options  # running the command empties the lists
        try:
            return super().invoke(ctx)
        except SigilError as error:
            if ctx.obj is not None and ctx.obj.debug:
                raise
            from sigil.cli.output import print_error, print_json_error

            (print_json_error if as_json else print_error)(error)
            raise typer.Exit(1) from None
