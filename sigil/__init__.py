"""Sigil: AI agents behind the chat apps that people already use."""

__version__ = "0.1.0"
