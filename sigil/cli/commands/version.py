"""`sigil version`."""

from __future__ import annotations

import typer

import sigil
from sigil.cli.frame import Json, make_app
from sigil.cli.output import print_json, print_line
from sigil.cli.versions import list_versions

app = make_app()


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version."""
    raise typer.Exit(run(as_json=as_json))


def run(*, as_json: bool) -> int:
    """Prints Sigil's version; as JSON, also those of Python and the main dependencies."""
    if as_json:
        print_json(list_versions())
    else:
        print_line(f"sigil {sigil.__version__}")
    return 0
