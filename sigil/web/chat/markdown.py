"""From a model's CommonMark to HTML that is safe to insert into a page."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from sigil.channels.fit import split

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
# Two things can make the HTML of a part thousands of times longer than its text. A row of a table
# gets as many cells as its head, although it may be one character long. And each `[a]` that refers
# to `[a]: https://…` repeats that address. So cells are counted before anything is rendered, and
# what references repeat is counted while they are looked up.
MOST_CELLS = 8_000
MOST_REFERENCE_CHARS = 100_000
MOST_HTML_CHARS = 200_000
_TABLE_RULER = re.compile(r"[\s>]*[|:-][\s|:-]*")
_LINE_END = re.compile(r"\r\n?|\n")

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
    renderer = _create_renderer(tables=_count_cells(text) <= MOST_CELLS)
    try:
        rendered = str(renderer.render(text, {"references": _References()}))
    except RecursionError:
        return render_plain(text)
    return rendered if len(rendered) <= MOST_HTML_CHARS else render_plain(text)


def render_plain(text: str) -> str:
    """The HTML of text that is shown as it was written."""
    return f"<pre>{html.escape(text)}</pre>"


def _count_cells(text: str) -> int:
    """At least as many cells as the tables of the text can have. A table begins at the line above
    its ruler (`|---|---|`) and ends at an empty line at the latest."""
    cells, columns = 0, 0
    for line in _LINE_END.split(text):
        if not line.strip(" >"):
            columns = 0
        elif "-" in line and _TABLE_RULER.fullmatch(line):
            columns = max(columns, line.count("|") + 1)
            cells += columns  # of the head
        cells += columns
    return cells


class _References(dict[str, dict[str, Any]]):
    """The definitions of a text. markdown-it fills them in and looks them up; what it finds has at
    most `MOST_REFERENCE_CHARS` characters together."""

    _chars = 0

    def get(self, label: str, default: Any = None) -> Any:
        """The definition, or `default` if there is none or it is too long now."""
        found = super().get(label)
        if found is None:
            return default
        size = len(found["href"]) + len(found["title"])
        if self._chars + size > MOST_REFERENCE_CHARS:
            return default
        self._chars += size
        return found


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
