"""Turns CommonMark into messages that a channel takes."""

from __future__ import annotations

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.fit import split


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The messages that `content` becomes, each within the channel's limit; at least one."""
    return [Rendered(text, plain=text) for text in split(content, spec.text_limit)]
