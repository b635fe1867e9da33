"""`sigil chat`: the HTTP API and the event log of the page, for a terminal."""

from __future__ import annotations

from sigil.channels.live_channel import LiveChannel, live_spec


class TerminalChannel(LiveChannel):
    """A person's terminal: a direct chat like any other, so it shares the person's session."""

    spec = live_spec(
        hint="The reader sees plain text in a terminal: short lines, little Markdown.",
    )
