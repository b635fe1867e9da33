"""From a model's CommonMark to HTML that is safe to insert into a page."""

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


def render_markdown(text: str) -> str:
    """Safe HTML: raw HTML is shown as text, links lead to http, https and mailto only and open
    in a new tab, images become links. Text longer than `MAX_CHARS` is not formatted."""
    if len(text) > MAX_CHARS:
        return f"<pre>{html.escape(text)}</pre>"
    try:
        return str(_create_renderer().render(text))
    except RecursionError:
        return f"<pre>{html.escape(text)}</pre>"


@cache
def _create_renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    markdown.validateLink = _is_safe_link  # type: ignore[method-assign]  # how markdown-it documents it
    markdown.add_render_rule("link_open", _render_link_open)
    markdown.add_render_rule("image", _render_image)
    markdown.add_render_rule("th_open", _render_cell_open)
    markdown.add_render_rule("td_open", _render_cell_open)
    return markdown


def _is_safe_link(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _render_link_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    idx: int,
    options: OptionsDict,
    env: MutableMapping[str, object],
) -> str:
    for name, value in _LINK.items():
        tokens[idx].attrSet(name, value)
    return self.renderToken(tokens, idx, options, env)


def _render_image(
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


def _render_cell_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    idx: int,
    options: OptionsDict,
    env: MutableMapping[str, object],
) -> str:
    """Turns alignment into a class, since the page's policy forbids inline styles."""
    style = tokens[idx].attrs.pop("style", None)
    if style:
        tokens[idx].attrSet("class", str(style).rpartition(":")[2])
    return self.renderToken(tokens, idx, options, env)
