"""What the generic webhook can do."""

from __future__ import annotations

from typing import ClassVar

from sigil.channels.base import ChannelSpec, ChannelType, MediaRules


class WebhookType(ChannelType):
    """A program that signs its requests, and perhaps takes replies at an address of its own."""

    spec: ClassVar[ChannelSpec] = ChannelSpec(
        text_limit=32_000,
        markup="commonmark",
        hint="A program reads the reply as Markdown.",
        threads=True,
        media=MediaRules(incoming=frozenset({"file", "image", "audio", "video"})),
        idempotent_send=True,  # the body carries the chunk's id
    )
    listener = "sigil.channels.webhook.listener:WebhookListener"
    sender = "sigil.channels.webhook.sender:WebhookSender"
