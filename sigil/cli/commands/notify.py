"""`sigil notify`: a message out, without asking the agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from sigil.channels.router import find_address
from sigil.cli.frame import Json, make_app
from sigil.cli.local_gateway import describe_unknown, open_gateway, read_text
from sigil.cli.output import print_json, print_line
from sigil.errors import ConfigError
from sigil.messages.exchange import MAX_REPLY_BYTES, OutboundMessage

if TYPE_CHECKING:
    from sigil.config import Settings

app = make_app()


@app.command()
def notify(
    ctx: typer.Context,
    channel: Annotated[str, typer.Argument(help="Name of the channel.")],
    chat_id: Annotated[str, typer.Argument(metavar="CHAT", help="The platform's id of the chat.")],
    text: Annotated[
        str, typer.Argument(help="The message in Markdown, or - to read standard input.")
    ],
    as_json: Json = False,
) -> None:
    """Send a message to a chat without asking the agent."""
    settings = ctx.obj.load_settings("routing")
    raise typer.Exit(run(settings, channel, chat_id, text, as_json=as_json))


def run(settings: Settings, channel: str, chat: str, text: str, *, as_json: bool) -> int:
    """Hands the message to the outbound workers, and prints the item's id. Raises `ConfigError`
    for a channel that is not configured."""
    if channel not in settings.channels:
        problem, hint = describe_unknown("channel", channel, settings.channels)
        raise ConfigError(problem, hint=hint)
    content = read_text(text, MAX_REPLY_BYTES)
    kind, account = find_address(channel, settings.channels[channel])
    message = OutboundMessage(kind, chat, content, account=account)
    item_id = asyncio.run(_send_message(settings, message))
    print_json({"id": item_id}) if as_json else print_line(item_id)
    return 0


async def _send_message(settings: Settings, message: OutboundMessage) -> str:
    async with open_gateway(settings) as gateway:
        return await gateway.notify(message)
