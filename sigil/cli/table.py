"""The table of commands, and the group that imports a command when it is called.

To add a command or a group of commands:

1. Write a module with a typer `app` from `sigil.cli.frame.make_app()`. An app with one command
   becomes a command, an app with several or with a callback becomes a group.
2. Add its row here. `help` is the first sentence of the command's own help; a test compares them.

Import what is slow inside functions, so that the command's `--help` and the completion of its
options stay quick.
"""

from __future__ import annotations

import copy
import importlib
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Row(NamedTuple):
    """A command's name, the module with its `app`, and the line about it in `sigil --help`."""

    name: str
    module: str
    help: str


TABLE = (
    Row("up", "sigil.cli.up", "Run all of Sigil on this machine."),
    Row(
        "gateway",
        "sigil.cli.gateway_command",
        "Run the gateway: listeners, web page, HTTP API.",
    ),
    Row("worker", "sigil.cli.worker", "Run one worker process of a role."),
    Row("chat", "sigil.cli.chat", "Talk to the agent in this terminal."),
    Row("send", "sigil.cli.send", "Accept a message as if a person had written it."),
    Row("notify", "sigil.cli.notify", "Send a message to a chat without asking the agent."),
    Row("status", "sigil.cli.status", "Show per day what was accepted and how it ended."),
    Row("doctor", "sigil.cli.doctor", "Find what is wrong with this installation."),
    Row("models", "sigil.cli.models", "Show the models, what they can do and what they cost."),
    Row("turns", "sigil.cli.turns", "Show the model calls of the last turns and their cost."),
    Row("budget", "sigil.cli.budget", "Show what may be spent, what was spent and what is left."),
    Row("version", "sigil.cli.version", "Print the version."),
    Row("config", "sigil.cli.config", "Check, show or create a configuration."),
    Row("providers", "sigil.cli.providers", "Show the model vendors, and which models rest."),
)


class CommandTable(TyperGroup):
    """Lists the commands of `TABLE` without importing them, and loads the one that is called.

    It also turns the errors that Sigil raises into one line each.
    """

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self._modules = {row.name: row.module for row in TABLE}
        self.commands = {row.name: TyperCommand(row.name, help=row.help) for row in TABLE}
        # The same group with nothing to load, for listing and completion.
        self._listing = TyperGroup(**{**attrs, "commands": self.commands})
        self._listing.params = self.params

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports the command's module and returns the command; None if there is none."""
        if cmd_name not in self._modules:
            return None
        command = typer.main.get_command(importlib.import_module(self._modules[cmd_name]).app)
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

        try:
            return super().invoke(ctx)
        except SigilError as error:
            if ctx.obj is not None and ctx.obj.debug:
                raise
            from sigil.cli.output import print_error

            print_error(error)
            raise typer.Exit(1) from None
