"""`sigil send`: a message in, as if a person had written it."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from sigil.cli.frame import Json, make_app
from sigil.cli.local_gateway import describe_unknown, open_gateway, read_text
from sigil.cli.output import print_json, print_line
from sigil.errors import ConfigError, UserNotFound
from sigil.messages import MAX_CONTENT_BYTES, InboundMessage

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.gateway import Gateway

# In these channels the sender is a user's id.
OWN_CHANNELS = frozenset({"terminal", "web"})

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
    sender = _find_sender(settings, user, channel)
    message = InboundMessage(
        channel_type=channel,
        channel_id=chat or re.sub(r"[^A-Za-z0-9_-]", "-", sender),  # what a live chat's id may hold
        message_id=uuid.uuid4().hex,
        sender_id=sender,
        sender_name=settings.users[user].name,
        content=read_text(text, MAX_CONTENT_BYTES),
    )
    item_id = asyncio.run(_receive_message(settings, user, message))
    print_json({"id": item_id}) if as_json else print_line(item_id)
    return 0


def _find_sender(settings: Settings, user: str, channel: str) -> str:
    """The id by which the channel knows this user. Raises `UserNotFound` or `ConfigError`."""
    if user not in settings.users:
        text, hint = describe_unknown("user", user, settings.users)
        raise UserNotFound(text, hint=hint)
    if channel in OWN_CHANNELS:
        return user
    for identity in settings.users[user].identities:
        name, _, platform_id = identity.partition(":")
        if name == channel:
            return platform_id
    raise ConfigError(
        f"users.{user} has no identity in the channel '{channel}'.",
        hint=f"Add `{channel}:<platform id>` to users.{user}.identities.",
    )


async def _receive_message(settings: Settings, user: str, message: InboundMessage) -> str:
    async with open_gateway(settings) as gateway:
        if message.channel_type in OWN_CHANNELS:
            await _list_chat(gateway, user, message)
        return (await gateway.receive(message)).id


async def _list_chat(gateway: Gateway, user: str, message: InboundMessage) -> None:
    """Puts the chat on the user's list, so that the page and `sigil chat` can open it."""
    from sigil.channels.web.listener import title

    chats = gateway.stores.chats
    channel, chat = message.channel_type, message.channel_id
    if await chats.owner(channel, chat) not in {None, user}:
        raise ConfigError(f"the chat '{chat}' belongs to another user.")
    await chats.touch(user, channel, chat, title(message.content))
