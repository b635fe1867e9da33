"""The chat page."""

from sigil.channels.web.channel import WebChannel

__all__ = ["WebChannel"]
