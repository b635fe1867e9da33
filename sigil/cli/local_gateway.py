"""A gateway in this process, for commands that put a message into Sigil by hand.

It writes to the same store as the workers and wakes them; it listens to no channel.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sigil.cli.backend import open_stores

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.gateway import Gateway


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Builds a gateway over the configured store. Raises `ConfigError` or `StoreError`."""
    from sigil import bootstrap
    from sigil.host import logs
    from workers.publisher import wakeups

    logs.setup(settings, level="WARNING")
    async with open_stores(settings) as stores:
        publisher = wakeups(settings)
        gateway = bootstrap.build(settings, stores=stores, wakeups=publisher)
        try:
            yield gateway
        finally:
            await gateway.close()
            await asyncio.to_thread(publisher.close)


def read_text(argument: str, max_bytes: int) -> str:
    """The argument, or standard input for `-`.

    Reads at most one byte more than `max_bytes`: then the message's own check refuses it. Bytes
    that are not UTF-8 become surrogates, which that check refuses too.
    """
    if argument != "-":
        return argument
    raw = sys.stdin.buffer.read(max_bytes + 1)
    return raw.decode("utf-8", "surrogateescape").removesuffix("\n")


def describe_unknown(what: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """The message and the hint of an error about a name that is not configured."""
    from sigil.config.problems import suggest

    names = sorted(known)
    near = suggest(name, names) or "."
    return f"no {what} '{name}' is configured{near}", f"There are: {', '.join(names)}."
