"""What e-mail can do."""

from __future__ import annotations

from typing import ClassVar

from sigil.channels.base import ChannelSpec, ChannelType, MediaKind, MediaRules

_KINDS: frozenset[MediaKind] = frozenset({"file", "image", "audio", "video", "voice"})


class EmailType(ChannelType):
    """A mailbox that answers its mail. A chat is a correspondent, a thread a conversation."""

    spec: ClassVar[ChannelSpec] = ChannelSpec(
        # A mail is never split. This is more than the longest reply there can be.
        text_limit=2 * 1024 * 1024,
        markup="email",
        hint="The reader gets a formatted mail: paragraphs, lists and tables; no short chat lines.",
        threads=True,
        # Providers refuse mails from 25 MB on, and base64 makes four bytes of three.
        media=MediaRules(_KINDS, _KINDS, largest_in=20 * 1024 * 1024, largest_out=18 * 1024 * 1024),
        # Receivers may show two mails with one Message-ID, so a second one is not harmless.
        idempotent_send=False,
        reports=True,
        notices=False,
    )
    listener = "sigil.channels.email.listener:EmailListener"
    sender = "sigil.channels.email.sender:make_sender"
