"""From CommonMark, written by a model, to HTML that a page may insert."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

MAX_CHARS = 100_000
_SCHEMES = frozenset({"http", "https", "mailto"})
_LINK = {"target": "_blank", "rel": "noopener noreferrer nofollow"}


def render(text: str) -> str:
    """Safe HTML: raw HTML is shown as text, links lead to http, https and mailto only and
    open apart, images become links. Beyond `MAX_CHARS` the text is shown unformatted."""
    if len(text) > MAX_CHARS:
        return f"<pre>{html.escape(text)}</pre>"
    try:
        return str(_renderer().render(text))
    except RecursionError:
        return f"<pre>{html.escape(text)}</pre>"


@cache
def _renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    markdown.validateLink = _allowed  # type: ignore[method-assign]  # how markdown-it documents it
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("th_open", _cell_open)
    markdown.add_render_rule("td_open", _cell_open)
    return markdown


def _allowed(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _link_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    idx: int,
    options: OptionsDict,
    env: MutableMapping[str, object],
) -> str:
    for name, value in _LINK.items():
        tokens[idx].attrSet(name, value)
    return self.renderToken(tokens, idx, options, env)


def _image(
    self: RendererHTML,
    tokens: Sequence[Token],
    idx: int,
    options: OptionsDict,
    env: MutableMapping[str, object],
) -> str:
    token = tokens[idx]
    label = html.escape(self.renderInlineAsText(token.children, options, env) or "image")
    attrs = "".join(f' {name}="{value}"' for name, value in _LINK.items())
    return f'<a href="{html.escape(str(token.attrGet("src")))}"{attrs}>{label}</a>'


def _cell_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    idx: int,
    options: OptionsDict,
    env: MutableMapping[str, object],
) -> str:
    """Alignment as a class: the page's policy allows no inline style."""
    style = tokens[idx].attrs.pop("style", None)
    if style:
        tokens[idx].attrSet("class", str(style).rpartition(":")[2])
    return self.renderToken(tokens, idx, options, env)
