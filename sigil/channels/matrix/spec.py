"""What Matrix can do."""

from __future__ import annotations

from sigil.channels.base import ChannelSpec, ChannelType, MediaKind, MediaRules

_KINDS: frozenset[MediaKind] = frozenset({"file", "image", "audio", "video", "voice"})


class MatrixType(ChannelType):
    """Rooms of a homeserver.

    An event has 65,536 bytes at most, and holds the text twice: plain and as HTML. The text is
    therefore counted in bytes (https://spec.matrix.org/v1.19/client-server-api/#size-limits).
    """

    spec = ChannelSpec(
        text_limit=16_000,
        text_unit="bytes",
        markup="matrix",
        hint="The reader's client shows Markdown: lists, tables, quotes, code. It has no LaTeX.",
        drafts="edit",
        group_drafts="edit",
        typing_seconds=30.0,
        threads=True,
        media=MediaRules(incoming=_KINDS, outgoing=_KINDS),
        idempotent_send=True,
        coalesce=True,
    )
    sender = "sigil.channels.matrix.sender:MatrixSender"
    listener = "sigil.channels.matrix.listener:MatrixListener"
