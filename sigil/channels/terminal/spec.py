"""`sigil chat`: the HTTP API and the event log of the page, for a terminal."""

from __future__ import annotations

from sigil.channels.base import ChannelType
from sigil.channels.live_sender import make_live_spec


class TerminalType(ChannelType):
    """A person's terminal: a direct chat like any other, so it shares the person's session."""

    spec = make_live_spec(
        hint="The reader sees plain text in a terminal: short lines, little Markdown.",
    )
    sender = "sigil.channels.live_sender:LiveSender"
