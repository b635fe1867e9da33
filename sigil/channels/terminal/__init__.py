"""`sigil chat`."""

from sigil.channels.terminal.channel import TerminalChannel

__all__ = ["TerminalChannel"]
