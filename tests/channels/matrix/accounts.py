"""A configured account, and a listener that runs for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from sigil.channels.base import AccountContext, Chunk, Place, Rendered
from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.settings import MatrixSettings
from sigil.messages.exchange import OutboundMessage
from tests.channels.inbox import WaitingInbox
from tests.peers.matrix.homeserver import BOT, TOKEN, Homeserver

PLACE = Place("!r:hs/?#%")
CONTEXT = AccountContext("matrix", "matrix", "default", SimpleNamespace())


def make_settings(server: Homeserver, **given: Any) -> MatrixSettings:
    values = {"homeserver": server.address, "user_id": BOT, "access_token": TOKEN, **given}
    return MatrixSettings(**{name: value for name, value in values.items() if value is not None})


@asynccontextmanager
async def run_listener(
    listener: MatrixListener, inbox: WaitingInbox
) -> AsyncIterator[WaitingInbox]:
    """Listens until the end of the block; what the listener raised before is raised there."""

    async def listen() -> None:
        try:
            await listener.listen(inbox)
        finally:
            await inbox.end()

    inbox.ended = False
    listening = asyncio.create_task(listen())
    try:
        yield inbox
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        await listener.close()
        if not listening.cancelled():
            listening.result()


def make_chunk(text: str = "Hello", *, id: str = "c1", html: str = "", **given: Any) -> Chunk:
    fields = {name: given.pop(name) for name in ("thread_id", "reply_to", "media") if name in given}
    message = OutboundMessage(
        channel_type="matrix", channel_id=PLACE.channel_id, content=text, **fields
    )
    extras = {"formatted_body": html} if html else {}
    return Chunk(id, message, rendered=Rendered(text, extras, text), **given)
