"""Channels: how people and Sigil reach each other.

    base      what a channel looks like to the core    live      chats whose readers watch a log
    router    finds a channel by its name              fit       cuts a text into a channel's parts
    web terminal memory    the channels, each with its class in `channel.py`

Names are loaded on first use, so importing this package costs nothing, and a channel's library
is needed only where that channel is configured.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigil.channels.base import Acceptance, Capabilities, Channel, Chunk, Receive
    from sigil.channels.fit import split
    from sigil.channels.router import ChannelRouter, load_channel
    from sigil.errors import ChannelNotFound
    from sigil.messages import Attachment, InboundMessage, OutboundMessage
    from sigil.pairing import PairingMode, check_pairing

__all__ = [
    "Acceptance",
    "Attachment",
    "Capabilities",
    "Channel",
    "ChannelNotFound",
    "ChannelRouter",
    "Chunk",
    "InboundMessage",
    "OutboundMessage",
    "PairingMode",
    "Receive",
    "check_pairing",
    "load_channel",
    "split",
]

_HOMES = {
    "Acceptance": "sigil.channels.base",
    "Attachment": "sigil.messages",
    "Capabilities": "sigil.channels.base",
    "Channel": "sigil.channels.base",
    "ChannelNotFound": "sigil.errors",
    "ChannelRouter": "sigil.channels.router",
    "Chunk": "sigil.channels.base",
    "InboundMessage": "sigil.messages",
    "OutboundMessage": "sigil.messages",
    "PairingMode": "sigil.pairing",
    "Receive": "sigil.channels.base",
    "check_pairing": "sigil.pairing",
    "load_channel": "sigil.channels.router",
    "split": "sigil.channels.fit",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
