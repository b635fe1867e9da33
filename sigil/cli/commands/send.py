"""`sigil send`: a message in, as if a person had written it."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from sigil.channels.live import take_message
from sigil.cli.frame import Json, make_app
from sigil.cli.local_gateway import describe_unknown, open_gateway, read_text
from sigil.cli.output import print_json, print_line
from sigil.errors import ConfigError, UserNotFound
from sigil.messages.exchange import MAX_CONTENT_BYTES, InboundMessage

if TYPE_CHECKING:
    from sigil.config import Settings

app = make_app()


@app.command()
def send(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="The message, or - to read standard input.")],
    as_user: Annotated[str, typer.Option("--as", help="User who writes.")],
    channel: Annotated[str, typer.Option(help="Channel that it comes from.")] = "terminal",
    chat_id: Annotated[
        str | None, typer.Option("--chat", help="Chat (default: the user's own).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Accept a message as if a person had written it."""
    settings = ctx.obj.load_settings("routing")
    raise typer.Exit(run(settings, as_user, text, channel, chat_id, as_json=as_json))


def run(
    settings: Settings, user: str, text: str, channel: str, chat: str | None, *, as_json: bool
) -> int:
    """Has the gateway accept the message, and prints the item's id."""
    if user not in settings.users:
        problem, hint = describe_unknown("user", user, settings.users)
        raise UserNotFound(problem, hint=hint)
    content = read_text(text, MAX_CONTENT_BYTES)
    item_id = asyncio.run(_receive_text(settings, user, content, channel, chat))
    print_json({"id": item_id}) if as_json else print_line(item_id)
    return 0


async def _receive_text(
    settings: Settings, user: str, content: str, channel: str, chat: str | None
) -> str:
    async with open_gateway(settings) as gateway:
        entry = gateway.channels.find_entry(channel)
        spec = entry.spec
        # Where the listener checks a token, the sender is a user; elsewhere a platform's id.
        sender = (
            user if spec.authenticated else _find_platform_id(settings, user, entry.channel_type)
        )
        message = InboundMessage(
            channel_type=entry.channel_type,
            account=entry.account,
            # Only these characters may stand in a live chat's id.
            channel_id=chat or re.sub(r"[^A-Za-z0-9_-]", "-", sender),
            message_id=uuid.uuid4().hex,
            sender_id=sender,
            sender_name=settings.users[user].name,
            content=content,
        )
        if not spec.live:
            return (await gateway.receive(message)).id
        accepted = await take_message(gateway.stores.chats, gateway.receive, message)
    if accepted is None:
        raise ConfigError(f"the chat '{message.channel_id}' belongs to another user.")
    return accepted.id


def _find_platform_id(settings: Settings, user: str, channel: str) -> str:
    """The id by which the channel knows this user. Raises `ConfigError`."""
    for identity in settings.users[user].identities:
        name, _, platform_id = identity.partition(":")
        if name == channel:
            return platform_id
    raise ConfigError(
        f"users.{user} has no identity in the channel '{channel}'.",
        hint=f"Add `{channel}:<platform id>` to users.{user}.identities.",
    )
