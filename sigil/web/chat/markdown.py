"""From a model's CommonMark to HTML that is safe to insert into a page."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from sigil.channels.render.bounds import MOST_CELLS, References, count_cells
from sigil.channels.render.commonmark import split

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

MAX_CHARS = 100_000
# Hostile text must cost neither much time nor much memory, whoever wrote it: a person, or a model
# that was talked into it. Long text is formatted in parts as large as a chunk of a reply. The worst
# part takes half a second.
PART_CHARS = 32_000
MOST_HTML_CHARS = 200_000
_SCHEMES = frozenset({"http", "https", "mailto"})
_LINK = {"target": "_blank", "rel": "noopener noreferrer nofollow"}


def render_markdown(text: str) -> str:
    """Safe HTML: raw HTML is shown as text, links lead to http, https and mailto only and open
    in a new tab, images become links. Text longer than `MAX_CHARS` is not formatted.

    Takes up to half a second for each part of `PART_CHARS` characters, at worst.
    """
    if len(text) > MAX_CHARS:
        return render_plain(text)
    return "".join(map(render_part, split(text, PART_CHARS)))


def render_part(text: str) -> str:
    """The HTML of one part, at most `MOST_HTML_CHARS` long or, if that is not enough, plain text.
    Tables that would be too large, and references once they are too long together, stand there as
    they were written."""
    renderer = _create_renderer(tables=count_cells(text) <= MOST_CELLS)
    try:
        rendered = str(renderer.render(text, {"references": References()}))
    except RecursionError:
        return render_plain(text)
    return rendered if len(rendered) <= MOST_HTML_CHARS else render_plain(text)


def render_plain(text: str) -> str:
    """The HTML of text that is shown as it was written."""
    return f"<pre>{html.escape(text)}</pre>"


@cache
def _create_renderer(*, tables: bool) -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable(["strikethrough", *(["table"] if tables else [])])
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
