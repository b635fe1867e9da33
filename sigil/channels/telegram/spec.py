"""What Telegram can do (https://core.telegram.org/bots/api, version 10.4)."""

from __future__ import annotations

from sigil.channels.base import ChannelSpec, ChannelType, MediaKind, MediaRules, Pace

_KINDS: frozenset[MediaKind] = frozenset({"file", "image", "audio", "video", "voice"})


class TelegramType(ChannelType):
    """Chats with a bot.

    A text has 4,096 UTF-16 code units at most, without its markup, which stands beside it as
    entities. Drafts have a call of their own that works in private chats alone. A bot may write
    about once a second to a chat, 20 times a minute to a group, and 30 times a second in all
    (https://core.telegram.org/bots/faq#broadcasting-to-users). A bot's downloads end at 20 MB, its
    uploads at 50 MB.
    """

    spec = ChannelSpec(
        text_limit=4096,
        text_unit="utf16",
        markup="telegram",
        hint="The reader's app shows bold, italic, links, quotes and code. It has no headings, "
        "tables or LaTeX.",
        drafts="call",
        group_drafts="edit",
        typing_seconds=5.0,
        threads=True,
        buttons=True,
        media=MediaRules(
            incoming=_KINDS,
            outgoing=_KINDS,
            largest_in=20 * 1024 * 1024,
            largest_out=50 * 1024 * 1024,
        ),
        pace=Pace(chat=1.0, group=3.0, account=1 / 30),
        coalesce=True,
    )
    sender = "sigil.channels.telegram.sender:TelegramSender"
    listener = "sigil.channels.telegram.listener:TelegramListener"
