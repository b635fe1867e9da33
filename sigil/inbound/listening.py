"""Keeps a channel's listener running in the gateway process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from sigil.channels.base import Inbox, Listener

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


async def keep_listening(listener: Listener, inbox: Inbox) -> None:
    """Listens until the channel's listener returns, and restarts it after a failure.

    The pause before a restart doubles up to `LONGEST_PAUSE_S`; a listener that ran longer than
    that starts over with the first one. A failing listener holds up no other.
    """
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE_S
    while True:
        started = loop.time()
        try:
            await listener.listen(inbox)
            return
        except Exception:  # a channel's library may raise anything
            log.exception("channel listener failed", channel=listener.name)
        if loop.time() - started > LONGEST_PAUSE_S:
            pause = FIRST_PAUSE_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
