"""`sigil chat`: the same HTTP API and event log as the page, for a terminal."""

from __future__ import annotations

from sigil.channels.base import Capabilities
from sigil.channels.web import WebChannel

__all__ = ["TerminalChannel"]


class TerminalChannel(WebChannel):
    """A person's terminal; a direct chat like any other, so it shares the person's session."""

    capabilities = Capabilities(
        max_chars=32_000,
        live=True,
        authenticated=True,
        idempotent_send=True,
        hint="The reader sees plain text in a terminal: short lines, little Markdown.",
    )
