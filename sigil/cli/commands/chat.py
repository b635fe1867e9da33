"""`sigil chat`: a conversation in the terminal, or one question and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sigil.cli.frame import Json, make_app
from sigil.config.addresses import local_url

if TYPE_CHECKING:
    from sigil.config import Settings

app = make_app()


@app.command()
def chat(
    ctx: typer.Context,
    text: Annotated[
        str | None, typer.Argument(help="Send this, print the answer and exit.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of the gateway (default: the configuration's).")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SIGIL_GATEWAY__TOKEN", show_envvar=True, help="Token to show to the gateway."
        ),
    ] = None,
    as_user: Annotated[str | None, typer.Option("--as", help="User to act as.")] = None,
    as_json: Json = False,
) -> None:
    """Talk to the agent in this terminal."""
    from sigil.cli.conversation import run_chat

    if as_json and text is None:
        raise typer.BadParameter("--json prints one answer, so it needs a text to send.")
    if url is None:  # the configured token is for the configured gateway alone
        settings: Settings = ctx.obj.load_settings("client")
        url = local_url(settings.gateway.host, settings.gateway.port)
        token = token or _find_token(settings, as_user)
    raise typer.Exit(run_chat(url, token, as_user, text, as_json=as_json))


def _find_token(settings: Settings, user: str | None) -> str | None:
    """The user's own token, else the gateway's."""
    own = settings.users[user].token if user in settings.users else None
    token = own or settings.gateway.token
    return token.get_secret_value() if token is not None else None
