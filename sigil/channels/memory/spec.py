"""A channel for tests: nothing comes in by itself, and what goes out is kept."""

from __future__ import annotations

from sigil.channels.base import ChannelSpec, ChannelType


class MemoryType(ChannelType):
    """Keeps what was sent."""

    spec = ChannelSpec()
    sender = "sigil.channels.memory.channel:make_memory_channel"
