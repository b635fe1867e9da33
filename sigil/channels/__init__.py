"""Channels: how people and Sigil reach each other.

    base      what a channel looks like to the core    live      chats whose readers watch a log
    router    finds a channel by its name              render    from CommonMark to messages
    web terminal memory    the channels, each with its class in `channel.py`

Names are loaded on first use, so importing this package costs nothing, and a channel's library
is needed only where that channel is configured.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter
    from sigil.identity.pairing import PairingMode, check_pairing

__all__ = ["ChannelRouter", "PairingMode", "check_pairing"]

_HOMES = {
    "ChannelRouter": "sigil.channels.router",
    "PairingMode": "sigil.identity.pairing",
    "check_pairing": "sigil.identity.pairing",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
