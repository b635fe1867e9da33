"""Renders CommonMark to what a platform takes, in messages that fit.

    content ─▶ parsing ─▶ lines ─▶ filling ─▶ messages
                            │         └── asks the target's module to write lines, and measures
                            └── tables: as text, where the platform has none

    parsing  mathematics  bounds    reads the text; who wrote it is not to be trusted
    lines  layout  tables  units    what is the same for several targets
    filling                         as many lines as fit into a message
    commonmark  slack               the text as it is, in parts
    plain  telegram  whatsapp  discord  html: matrix, email

Each target is a module with `render(content, spec)`.
"""

from __future__ import annotations

from importlib import import_module

from sigil.channels.base import ChannelSpec, Markup, Rendered

_TARGETS: dict[Markup, str] = {
    "commonmark": "sigil.channels.render.commonmark",
    "plain": "sigil.channels.render.plain",
    "telegram": "sigil.channels.render.telegram",
    "slack": "sigil.channels.render.slack",
    "discord": "sigil.channels.render.discord",
    "whatsapp": "sigil.channels.render.whatsapp",
    "matrix": "sigil.channels.render.matrix",
    "email": "sigil.channels.render.email",
}


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The messages for `content` (CommonMark), at least one, each within the spec's `text_limit` in
    its `text_unit`; its `plain`, too. E-mail is never split.

    No text is too strange: it is never an error, and costs time in proportion to its length. What
    has no visible text becomes one message without text. Longer texts take a while (100,000
    characters up to a second or two), so they should be rendered in a thread. Raises `ValueError`
    for a `text_limit` below 64.
    """
    rendered: list[Rendered] = import_module(_TARGETS[spec.markup]).render(content, spec)
    return rendered


def needs_file(content: str, spec: ChannelSpec, longest: int | None) -> bool:
    """Whether an answer is kinder as a file: where the channel takes files, and the answer is
    longer than `longest` characters. None: never."""
    return longest is not None and len(content) > longest and "file" in spec.media.outgoing
