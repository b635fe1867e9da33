"""`sigil send` and `sigil notify`: a message in, a message out, without a platform."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sigil import logs
from sigil.channels.live import take_message
from sigil.cli import backend, output
from sigil.config import Settings
from sigil.config.problems import suggestion
from sigil.errors import ConfigError, UserNotFound
from sigil.messages import MAX_CONTENT_BYTES, MAX_REPLY_BYTES, InboundMessage, OutboundMessage

if TYPE_CHECKING:
    from sigil.gateway import Gateway

OWN_CHANNELS = frozenset({"terminal", "web"})  # there the sender is a user's id


def send(
    settings: Settings, user: str, text: str, channel: str, chat: str | None, *, as_json: bool
) -> int:
    """Has the gateway accept the message, and prints the item's id."""
    sender = _sender(settings, user, channel)
    message = InboundMessage(
        channel_type=channel,
        channel_id=chat or re.sub(r"[^A-Za-z0-9_-]", "-", sender),  # what a live chat may be named
        message_id=uuid.uuid4().hex,
        sender_id=sender,
        sender_name=settings.users[user].name,
        content=_text(text, MAX_CONTENT_BYTES),
    )
    item_id = asyncio.run(_receive(settings, message))
    output.as_json({"id": item_id}) if as_json else output.line(item_id)
    return 0


def notify(settings: Settings, channel: str, chat: str, text: str, *, as_json: bool) -> int:
    """Puts the message on its way out, and prints the item's id."""
    if channel not in settings.channels:
        near = suggestion(channel, settings.channels)
        known = ", ".join(sorted(settings.channels))
        raise ConfigError(
            f"no channel '{channel}' is configured{near or '.'}", hint=f"There are: {known}."
        )
    content = _text(text, MAX_REPLY_BYTES)
    message = OutboundMessage(channel_type=channel, channel_id=chat, content=content)
    item_id = asyncio.run(_notify(settings, message))
    output.as_json({"id": item_id}) if as_json else output.line(item_id)
    return 0


def _sender(settings: Settings, user: str, channel: str) -> str:
    """Who the platform would say this user is. Raises `UserNotFound` or `ConfigError`."""
    if user not in settings.users:
        near = suggestion(user, settings.users)
        known = ", ".join(sorted(settings.users))
        raise UserNotFound(
            f"no user '{user}' is configured{near or '.'}", hint=f"There are: {known}."
        )
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


def _text(given: str, limit: int) -> str:
    if given != "-":
        return given
    # One byte more than is taken, so that the message's own check can refuse it.
    raw = sys.stdin.buffer.read(limit + 1)
    return raw.decode("utf-8", "surrogateescape").removesuffix("\n")


@contextlib.asynccontextmanager
async def _gateway(settings: Settings) -> AsyncIterator[Gateway]:
    from sigil import bootstrap
    from workers.publisher import wakeups

    logs.setup(settings, level="WARNING")
    async with backend.stores(settings) as stores:
        publisher = wakeups(settings)
        gateway = bootstrap.build(settings, stores=stores, wakeups=publisher)
        try:
            yield gateway
        finally:
            await gateway.close()
            await asyncio.to_thread(publisher.close)


async def _receive(settings: Settings, message: InboundMessage) -> str:
    async with _gateway(settings) as gateway:
        if message.channel_type not in OWN_CHANNELS:
            return (await gateway.receive(message)).id
        accepted = await take_message(gateway.stores.chats, gateway.receive, message)
    if accepted is None:
        raise ConfigError(f"the chat '{message.channel_id}' is another user's.")
    return accepted.id


async def _notify(settings: Settings, message: OutboundMessage) -> str:
    async with _gateway(settings) as gateway:
        return await gateway.notify(message)
