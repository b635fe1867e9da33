"""The chat page of the gateway. The HTTP routes in `sigil.web.chat` are its listener."""

from __future__ import annotations

from sigil.channels.live_channel import LiveChannel, live_spec


class WebChannel(LiveChannel):
    """Chats on the page. Each is a session of its own."""

    spec = live_spec(
        hint="The reader's page renders Markdown with tables and code blocks, but no images.",
        html=True,
        own_sessions=True,
    )
