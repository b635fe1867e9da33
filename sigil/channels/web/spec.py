"""The chat page of the gateway. The HTTP routes in `sigil.web.chat` are its listener."""

from __future__ import annotations

from sigil.channels.base import ChannelType
from sigil.channels.live_sender import make_live_spec


class WebType(ChannelType):
    """Chats on the page. Each is a session of its own."""

    spec = make_live_spec(
        hint="The reader's page renders Markdown with tables and code blocks, but no images.",
        html=True,
        own_sessions=True,
    )
    sender = "sigil.channels.live_sender:LiveSender"
