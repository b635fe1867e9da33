"""`sigil doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sigil.cli.frame import Json, SeenAs, make_app
from sigil.cli.output import print_json, print_table

app = make_app()


@app.command()
def doctor(
    ctx: typer.Context,
    role: SeenAs = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Also call the first model, for at most 16 tokens on your account."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Find what is wrong with this installation and say what to do.

    Each model vendor is asked for its list of models, which shows whether its key is accepted
    and costs nothing. Each channel's platform is asked whether the account works; nothing is sent.
    """
    raise typer.Exit(run(ctx.obj.config, role, live=live, as_json=as_json))


def run(path: Path | None, role: str | None, *, live: bool, as_json: bool) -> int:
    """Prints every finding. Returns 1 if a check failed."""
    from sigil.cli.diagnosis import examine_installation

    findings = list(examine_installation(path, role, live=live))
    if as_json:
        print_json({"findings": [asdict(each) for each in findings]})
    else:
        print_table(
            ("check", "state", "found", "what to do"),
            [(each.check, each.state, each.detail, each.advice) for each in findings],
        )
    return 1 if any(each.state == "fail" for each in findings) else 0
