"""Slack: CommonMark as it is, for `markdown_text`."""

from __future__ import annotations

import re

from sigil.channels.base import ChannelSpec, Rendered
from sigil.channels.render.commonmark import split
from sigil.channels.render.parsing import clean
from sigil.channels.render.plain import spell

# `<!channel>` and `<@U123>` call people, `<#C123>` names a channel: no words of an answer may.
_CONTROL = re.compile(r"<(?=!(?:channel|here|everyone|subteam\^|date\^)|[@#][A-Z0-9])")


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text in parts, without Slack's own control sequences."""
    parts = split(_CONTROL.sub("&lt;", clean(content)), spec.text_limit, spec.text_unit)
    return [Rendered(part, plain=spell(part, spec)) for part in parts]
