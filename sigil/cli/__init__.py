"""The command line.

`table.py` lists the commands. Each has a module in `commands/`, with its typer declarations, which
is imported when the command is called: `sigil --help` imports none of them and answers at once.

An error that Sigil knows is one line on stderr, or with --json an object on stdout, and exit
code 1. Wrong usage is 2, Ctrl-C is 130.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sigil.cli.frame import Frame
from sigil.cli.table import CommandTable

app = typer.Typer(
    name="sigil",
    cls=CommandTable,
    help="Sigil puts AI agents behind chat apps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would show the values of variables
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The `sigil` command."""
    try:
        app(prog_name="sigil")  # named, so that `python -m sigil` finds its completion variable
    except KeyboardInterrupt:  # outside of a command, as while importing
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sigil.cli.commands import version

        raise typer.Exit(version.run(as_json=False))


@app.callback()
def read_frame(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration file (default: ./sigil.yaml, then the user's, then the one in "
            "/etc/sigil)."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Keeps the options that stand before the command's name."""
    ctx.obj = Frame(config, debug)
